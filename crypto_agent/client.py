"""The only door to the crypto agent, for views and tasks: one method for each XRPC method.

Nothing that comes back is a key. The client retries nothing, since its callers know what may be
repeated (everything but ``compose``), and it may be shared by threads.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import httpx
from joserfc import jwt
from joserfc.jwk import OctKey

from crypto_agent import client_json as js
from crypto_agent.atsms.json_bytes import to_json as bytes_json
from crypto_agent.atsms.prekeys import Prekey
from crypto_agent.client_values import (
    AgentStatus,
    ArchivedMessage,
    ArchiveItem,
    Composed,
    Copy,
    CopyForm,
    Degraded,
    Device,
    Direction,
    Expires,
    Facet,
    Grant,
    Grants,
    NewGrant,
    OpenedEnvelope,
    OpenedMessage,
    ReadMessage,
    RefusedTarget,
    SealedContent,
    SealedMessage,
    Target,
)

__all__ = [
    "AgentClient",
    "AgentError",
    "AgentRefused",
    "AgentSealed",
    "AgentStatus",
    "AgentUnavailable",
    "ArchiveItem",
    "ArchivedMessage",
    "Composed",
    "Copy",
    "CopyForm",
    "Degraded",
    "Device",
    "Direction",
    "Expires",
    "Facet",
    "Grant",
    "Grants",
    "NewGrant",
    "OpenedEnvelope",
    "OpenedMessage",
    "Prekey",
    "ReadMessage",
    "RefusedTarget",
    "SealedContent",
    "SealedMessage",
    "Target",
]

AUDIENCE = "waxwing-agent"
NAMESPACE = "dev.waxwing.agent"
TOKEN_LIFETIME_S = 30
#: The agent takes no longer batch (see its lexicons); longer ones are sent in several calls.
BATCH_ITEMS = 100
BATCH_BYTES = 6 * 1024 * 1024

Item = TypeVar("Item")


class AgentError(Exception):
    """A call that failed; ``code`` is the agent's stable error name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class AgentUnavailable(AgentError):
    """The agent could not be reached, did not answer in time, or could not keep its audit log: try later."""


class AgentSealed(AgentUnavailable):
    """The agent runs, but its operator has not given it its key yet: try later."""


class AgentRefused(AgentError):
    """The agent understood the call and refuses it; the same call would be refused again."""


class AgentClient:
    """A caller of the agent at ``url`` (scheme, host, port), ``web`` or ``worker``."""

    def __init__(
        self,
        url: str,
        token_secret: str,
        caller: str,
        *,
        timeout_s: float = 60.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = url.rstrip("/")
        self._key = OctKey.import_key(token_secret)
        self._caller = caller
        self._timeout = httpx.Timeout(timeout_s, connect=5.0)
        self._now = now
        self._http: httpx.Client | None = None
        self._http_owner = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"AgentClient({self._url!r}, caller={self._caller!r})"

    def close(self) -> None:
        """Closes the kept connections; the next call opens new ones."""
        with self._lock:
            if self._http is not None and self._http_owner == os.getpid():
                self._http.close()
            self._http = None

    def status(self) -> AgentStatus:
        """Whether the agent is open or sealed; answered even while it is sealed."""
        answer = self._query("getStatus", {})
        return AgentStatus(state=answer["state"], version=answer["version"])

    def create_device(self, did: str, handle: str, mail_domain: str) -> Device:
        """The active device of ``did``, made with certificate, prekey and archive key if none is there."""
        arguments = {"did": did, "handle": handle, "mailDomain": mail_domain}
        return js.device_value(self._procedure("createDevice", arguments)["device"])

    def list_devices(self, did: str) -> list[Device]:
        """All devices of ``did``, revoked ones included, oldest first."""
        return [js.device_value(device) for device in self._query("listDevices", {"did": did})["devices"]]

    def revoke_device(self, did: str, fingerprint: str) -> Device:
        """Destroys the device's private key and prekeys. Repeating it changes nothing more."""
        arguments = {"did": did, "fingerprint": fingerprint}
        return js.device_value(self._procedure("revokeDevice", arguments)["device"])

    def rotate_prekey(self, did: str, fingerprint: str, *, force: bool = False) -> Device:
        """Makes a new prekey if the current one is older than six days, or at once if forced."""
        arguments = {"did": did, "fingerprint": fingerprint, "force": force}
        return js.device_value(self._procedure("rotatePrekey", arguments)["device"])

    def compose(
        self,
        did: str,
        recipients: Sequence[str],
        text: str,
        *,
        created_at: datetime,
        in_reply_to: str | None = None,
    ) -> Composed:
        """A new text message with its ids, sealed at rest; every call makes another message.

        Raises AgentRefused ``MessageTooLong`` if the text does not fit an envelope.
        """
        arguments: dict[str, Any] = {
            "did": did,
            "recipients": list(recipients),
            "text": text,
            "createdAt": js.time_json(created_at),
        }
        if in_reply_to is not None:
            arguments["inReplyTo"] = in_reply_to
        answer = self._procedure("compose", arguments)
        return Composed(
            conversation_id=answer["conversationId"],
            message_id=answer["messageId"],
            created_at=js.time_value(answer["createdAt"]),
            sealed=js.bytes_value(answer["sealed"]),
        )

    def seal(self, did: str, message: SealedContent, targets: Sequence[Target]) -> SealedMessage:
        """Signs the composed message with the active device and seals a copy for every target.

        The signer's own device gets no copy. Sealing again gives the same signed message in new
        envelopes. Raises AgentRefused ``NoActiveDevice`` or ``CannotUnseal``.
        """
        sealed, copies, refused = message.sealed, [], []
        batches = list(_batches(targets, lambda target: len(target.certificate_pem) + 512)) or [[]]
        for batch in batches:
            arguments = {
                "did": did,
                "message": js.sealed_content_json(
                    SealedContent(message.conversation_id, message.message_id, sealed)
                ),
                "targets": [js.target_json(target) for target in batch],
            }
            answer = self._procedure("seal", arguments)
            sealed = js.bytes_value(answer["sealed"])
            copies += [js.copy_value(copy) for copy in answer["copies"]]
            refused += [js.refused_target_value(target) for target in answer["refused"]]
        return SealedMessage(sealed, copies, refused)

    def open(self, did: str, envelopes: Sequence[bytes]) -> list[OpenedEnvelope]:
        """Opens and verifies envelopes, in their order; each one's failure is its own ``error``."""
        opened = []
        for batch in _batches(envelopes, len):
            arguments = {"did": did, "envelopes": [bytes_json(envelope) for envelope in batch]}
            answer = self._procedure("open", arguments)
            opened += [js.opened_envelope_value(item) for item in answer["opened"]]
        return opened

    def read(self, did: str, items: Sequence[SealedContent]) -> list[ReadMessage]:
        """The plaintext of messages for a page, in their order; each one's failure is its own ``error``."""
        read = []
        for batch in _batches(items, lambda item: len(item.sealed)):
            arguments = {"did": did, "items": [js.sealed_content_json(item) for item in batch]}
            answer = self._procedure("read", arguments)
            read += [js.read_message_value(item) for item in answer["messages"]]
        return read

    def archive(self, did: str, items: Sequence[ArchiveItem]) -> list[bytes]:
        """Signed messages sealed to the account's archive key, in their order.

        Raises AgentRefused ``CannotUnseal`` or ``NotSigned``, naming the item.
        """
        archived = []
        for batch in _batches(items, lambda item: len(item.sealed)):
            arguments = {"did": did, "items": [js.archive_item_json(item) for item in batch]}
            answer = self._procedure("archive", arguments)
            archived += [js.bytes_value(item) for item in answer["archived"]]
        return archived

    def read_archive(self, did: str, items: Sequence[bytes]) -> list[ArchivedMessage]:
        """Opens archived messages and verifies their signatures again; each failure is its own ``error``."""
        messages = []
        for batch in _batches(items, len):
            arguments = {"did": did, "items": [bytes_json(item) for item in batch]}
            answer = self._procedure("readArchive", arguments)
            messages += [js.archived_message_value(item) for item in answer["messages"]]
        return messages

    def create_grant(
        self, did: str, name: str, purposes: Sequence[str], *, expires_at: datetime, hourly_limit: int
    ) -> NewGrant:
        """Allows an app of the user ``purposes`` (status, sign, attest, seal, open), and no other."""
        arguments = {
            "did": did,
            "name": name,
            "purposes": list(purposes),
            "expiresAt": js.time_json(expires_at),
            "hourlyLimit": hourly_limit,
        }
        answer = self._procedure("createGrant", arguments)
        return NewGrant(js.grant_value(answer["grant"]), answer["token"])

    def list_grants(self, did: str) -> Grants:
        """What the user allowed which apps, revoked and expired grants included."""
        answer = self._query("listGrants", {"did": did})
        return Grants(answer.get("service"), [js.grant_value(grant) for grant in answer["grants"]])

    def revoke_grant(self, did: str, grant_id: str) -> Grant:
        """The app has nothing done from now on. Repeating it changes nothing more."""
        arguments = {"did": did, "grantId": grant_id}
        return js.grant_value(self._procedure("revokeGrant", arguments)["grant"])

    def check_attestations(
        self,
        did: str,
        record: js.Json,
        repository: str,
        *,
        trusted_keys: Mapping[str, str],
        trusted_proofs: Mapping[str, js.Json],
    ) -> list[str]:
        """Who, of those that ``did`` trusts, attests a record of ``repository``: key names and proof URIs.

        ``trusted_keys`` has a did:key for each name of a key, ``trusted_proofs`` proof records by URI.
        Raises AgentRefused ``NotAttested`` if nobody does.
        """
        arguments = {
            "did": did,
            "record": record,
            "repository": repository,
            "trustedKeys": [{"name": name, "didKey": key} for name, key in trusted_keys.items()],
            "trustedProofs": [{"uri": uri, "value": proof} for uri, proof in trusted_proofs.items()],
        }
        return [held["by"] for held in self._procedure("checkAttestations", arguments)["attestations"]]

    def _query(self, method: str, parameters: dict[str, str]) -> js.Json:
        return self._call("GET", method, params=parameters)

    def _procedure(self, method: str, arguments: js.Json) -> js.Json:
        return self._call("POST", method, json=arguments)

    def _call(self, verb: str, method: str, **request: Any) -> js.Json:
        nsid = f"{NAMESPACE}.{method}"
        headers = {"Authorization": f"Bearer {self._token(nsid)}"}
        try:
            response = self._connection().request(
                verb, f"{self._url}/xrpc/{nsid}", headers=headers, **request
            )
        except httpx.HTTPError as error:
            # The error's own text may quote the request, so only its kind is passed on.
            raise AgentUnavailable("Unreachable", type(error).__name__) from None
        if response.status_code != httpx.codes.OK:
            raise _error_of(response)
        answer: js.Json = response.json()
        return answer

    def _token(self, nsid: str) -> str:
        issued_at = int(self._now())
        claims = {
            "iss": self._caller,
            "aud": AUDIENCE,
            "lxm": nsid,
            "iat": issued_at,
            "exp": issued_at + TOKEN_LIFETIME_S,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode({"alg": "HS256"}, claims, self._key)

    def _connection(self) -> httpx.Client:
        # A worker forks after this was made: a child must not share its parent's connections.
        with self._lock:
            if self._http is None or self._http_owner != os.getpid():
                self._http = httpx.Client(timeout=self._timeout, trust_env=False)
                self._http_owner = os.getpid()
            return self._http


def _batches(items: Sequence[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Splits a sequence into runs that one call may carry, by number and by bytes."""
    batch: list[Item] = []
    batch_bytes = 0
    for item in items:
        size = size_of(item)
        if batch and (len(batch) == BATCH_ITEMS or batch_bytes + size > BATCH_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(item)
        batch_bytes += size
    if batch:
        yield batch


def _error_of(response: httpx.Response) -> AgentError:
    try:
        body = response.json()
        code, message = str(body["error"]), str(body.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = f"Http{response.status_code}", "the agent answered without an XRPC error"
    if code == "AgentSealed":
        return AgentSealed(code, message)
    if response.status_code >= 500 and response.status_code != httpx.codes.NOT_IMPLEMENTED:
        return AgentUnavailable(code, message)
    return AgentRefused(code, message)
