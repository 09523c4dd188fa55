"""Calls of the crypto agent as they come: of every method, by this installation's processes and by apps."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from hashlib import shake_256
from io import BytesIO
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl

import urllib3
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import transaction
from django.test import Client

from crypto_agent import account_file, app_calls, lock_key
from crypto_agent.atsms.json_bytes import from_json
from crypto_agent.client import (
    AgentClient,
    AgentError,
    ArchiveItem,
    Expires,
    Facet,
    NewGroupUpdate,
    NewMessage,
    NewPreview,
    Passphrase,
    Receipt,
    SealedContent,
)
from crypto_agent.framed_json import HEAD_BYTES, STREAM
from crypto_agent.grants import GrantedPurpose
from crypto_agent.packed import PACKED, PACKED_METHODS, pack, unpack
from crypto_agent.plain_json import plain
from crypto_agent.tokens import PERMITTED
from crypto_agent.views import LEXICONS, NAMESPACE
from tests.crypto_agent.people import ALICE, BOB, CAROL, WRITTEN_AT
from tests.crypto_agent.people import target as target_of
from tests.fuzzing.lexicon_samples import Samples
from tests.fuzzing.target import json_bytes, json_of, target
from tests.fuzzing.targets.agent import PERSON

PASSPHRASE = "correct horse battery"
#: Somebody without keys.
NOBODY = "did:plc:nobodynobodynobodynobody"
#: What follows in calls that carry a file: as much as the shortest samples say.
FILE = b"x"


class Quick:
    """In place of Argon2id, which takes 64 MiB by design."""

    def __init__(self, *, salt: bytes, length: int, **_cost: int) -> None:
        self._salt, self._length = salt, length

    def derive(self, secret: bytes) -> bytes:
        return shake_256(self._salt + secret).digest(self._length)


class KeysOfPerson:
    """In place of the network: the key in PERSON's document."""

    def key(self, _did: str, _now: float) -> ec.EllipticCurvePublicKey:
        return PERSON.key.public_key()

    fresh_key = key


def _sendable(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


class InProcess(urllib3.HTTPConnectionPool):
    """Calls the agent's views as a client over HTTP would, and keeps what was sent."""

    def __init__(self) -> None:
        super().__init__("agent.test")
        self.sent: list[bytes] = []
        self._client = Client(raise_request_exception=False)

    def urlopen(  # type: ignore[override]
        self, _verb: str, url: str, body: bytes | None, headers: Mapping[str, str], **_: object
    ) -> urllib3.HTTPResponse:
        path, _, asked = url.partition("?")
        nsid = path.removeprefix("/xrpc/")
        packed = headers.get("Content-Type") == PACKED
        text = plain(unpack(body or b"")) if packed else body or json_bytes(dict(parse_qsl(asked)))
        self.sent.append(json_bytes({"method": nsid, "body": json.loads(text)}))
        return self.answer(nsid, json.loads(text), headers["Authorization"], body if packed else None)

    def answer(
        self, nsid: str, fields: Any, authorization: str, packed: bytes | None = None
    ) -> urllib3.HTTPResponse:
        """The answer to a call in the form that its method has, or packed as it is."""
        method, address = LEXICONS.methods[nsid], f"/xrpc/{nsid}"
        headers = {"HTTP_AUTHORIZATION": authorization}
        text = json.dumps(fields).encode()
        if method.is_query:
            named = fields.items() if isinstance(fields, dict) else ()
            parameters = {_sendable(name): _sendable(value) for name, value in named}
            answer = self._client.get(address, parameters, **headers)
        elif packed is not None:
            answer = self._client.post(address, packed, content_type=PACKED, **headers)
        elif method.carries_file:
            file = len(text).to_bytes(HEAD_BYTES, "big") + text + FILE
            answer = self._client.post(address, file, content_type=STREAM, **headers)
        else:
            answer = self._client.post(address, text, content_type="application/json", **headers)
        said = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return urllib3.HTTPResponse(
            BytesIO(said), status=answer.status_code, headers={"Content-Type": answer["Content-Type"]}
        )


@cache
def _agent() -> tuple[InProcess, tuple[bytes, ...], AgentClient]:
    """The agent with two accounts and one that is locked, the good calls that these were made with, and a
    client."""
    transport = InProcess()
    clients = {}
    for caller in ("web", "worker"):
        clients[caller] = AgentClient("http://agent.test", settings.TOKEN_SECRETS[caller], caller)
        clients[caller]._connections._pool = transport
        clients[caller]._connections._owner = os.getpid()
    web, worker = clients["web"], clients["worker"]
    alice = web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT, in_reply_to="01" * 32)
    for message in (
        NewMessage(reaction="\U0001f44d", in_reply_to="01" * 32),
        NewMessage(receipt=Receipt("read", ["01" * 32])),
        NewMessage(group_update=NewGroupUpdate("Rowers")),
        NewMessage(takes_back=True, replaces="01" * 32),
        NewMessage(
            "Hello",
            [Facet(0, 5, "mention", BOB)],
            preview=NewPreview("https://a.test"),
            topic_id="01",
            expires=Expires(True, 60),
        ),
    ):
        web.compose(ALICE, [BOB], message, created_at=WRITTEN_AT)
    sealed = worker.seal(ALICE, composed.content, [target_of(bob)])
    opened = worker.open(BOB, [copy.envelope for copy in sealed.copies])
    content = SealedContent(composed.conversation_id, composed.message_id, sealed.sealed)
    item = ArchiveItem(
        *(content.conversation_id, content.message_id, content.sealed), WRITTEN_AT, WRITTEN_AT, "out"
    )
    worker.read_archive(ALICE, worker.archive(ALICE, [item]))
    web.read(ALICE, [content])
    assert opened[0].message is not None
    worker.list_devices(ALICE)
    grant = web.create_grant(
        ALICE, "An app", ["status"], expires_at=datetime(2027, 1, 1, tzinfo=UTC), hourly_limit=10
    ).grant
    web.list_grants(ALICE)
    record = {
        "$type": "dev.test.record",
        "signatures": [{"$type": "x", "key": "k", "signature": {"$bytes": "AA"}}],
    }
    for call in (
        partial(web.rotate_prekey, ALICE, alice.fingerprint),
        partial(
            web.check_attestations, ALICE, record, ALICE, trusted_keys={"k": "did:key:z"}, trusted_proofs={}
        ),
        partial(web.revoke_grant, ALICE, grant.grant_id),
        partial(web.revoke_device, ALICE, "00" * 32),
    ):
        try:
            call()
        except AgentError:
            continue
    with patch.object(lock_key, "Argon2id", Quick):
        web.create_device(CAROL, "carol.test", "mail.test")
        web.make_locked(CAROL, Passphrase(PASSPHRASE), lifetime_s=10**6)
    return transport, tuple(transport.sent), web


def _with_bytes(value: Any) -> Any:
    """What the client packs in place of JSON's way of writing bytes."""
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            with suppress(ValueError):
                return from_json(value, 1 << 20)
        return {name: _with_bytes(member) for name, member in value.items()}
    return [_with_bytes(member) for member in value] if isinstance(value, list) else value


def _seeds() -> Iterator[bytes]:
    """Calls that do what they are for, and two of every method as its lexicon has it."""
    yield from _agent()[1]
    (device, *_) = _agent()[2].list_devices(ALICE)
    right = {
        "did": ALICE,
        "fingerprint": device.fingerprint,
        "grant": _grant(),
        "passphrase": PASSPHRASE,
        "proof": {"passphrase": PASSPHRASE},
        "secret": {"passphrase": PASSPHRASE},
        "mediaType": "text/plain",
        "didKey": "did:key:zDnaembgSGUhZULN2Caob4HLJPaxBh92N7rtH21TErzqf8HQo",
        "text": "Hello",
    }
    samples = Samples(LEXICONS, right)
    for nsid, method in LEXICONS.methods.items():
        if nsid.startswith(NAMESPACE):
            for body in samples.of(method):
                yield json_bytes({"method": nsid, "body": body})
                if body.get("did") == ALICE:
                    for did in (CAROL, NOBODY):
                        yield json_bytes({"method": nsid, "body": {**body, "did": did}})


@cache
def _grant() -> str:
    """PERSON's, for everything."""
    _, _, web = _agent()
    web.create_device(PERSON.did, "person.test", "mail.test")
    new = web.create_grant(
        PERSON.did,
        "An app",
        [purpose.value for purpose in GrantedPurpose],
        expires_at=datetime.now(UTC) + timedelta(days=300),
        hourly_limit=1000,
    )
    return new.token


@target(_seeds, words=(b'"$bytes":"', b'"did":"did:plc:', b'"createdAt":"', b'"grant":"'), is_json=True)
def xrpc_call_target(data: bytes) -> None:
    """A whole call, as either process of the service or as an app, plain and packed; nothing of it stays."""
    call = json_of(data)
    nsid = str(call.get("method")) if isinstance(call, dict) else ""
    if nsid not in LEXICONS.methods or not nsid.startswith(NAMESPACE):
        return
    fields = call.get("body")
    _answered(nsid, fields)
    if nsid.removeprefix(NAMESPACE) in PACKED_METHODS:
        packed = None
        # Not everything that is JSON can be packed.
        with suppress(ValueError, OverflowError, RecursionError):
            packed = pack(_with_bytes(fields))
        if packed is not None:
            _answered(nsid, fields, packed)


def _answered(nsid: str, fields: Any, packed: bytes | None = None) -> None:
    transport, method = _agent()[0], LEXICONS.methods[nsid]
    with ExitStack() as stack:
        for module in (lock_key, account_file):
            stack.enter_context(patch.object(module, "Argon2id", Quick))
        stack.enter_context(patch.object(app_calls, "user_keys", KeysOfPerson()))
        outer = transaction.atomic()
        # As in Django's own test cases: what has to be durable may be within this one.
        outer._from_testcase = True
        stack.enter_context(outer)
        answer = transport.answer(nsid, fields, f"Bearer {_token(nsid)}", packed)
        transaction.set_rollback(True)
    assert answer.status < 500, answer.data
    if answer.status != 200:
        said = answer.json()
        assert said["error"] in method.errors | {"InvalidRequest", "PayloadTooLarge"}, said
    elif packed is not None:
        LEXICONS.output(method, unpack(answer.data))
    elif not method.carries_file:
        LEXICONS.output(method, answer.json())


def _token(nsid: str) -> str:
    name = nsid.removeprefix(NAMESPACE)
    if name.startswith("app."):
        return PERSON.token(settings.PUBLIC_DID, nsid)
    caller = next((caller for caller, names in PERMITTED.items() if name in names), "web")
    return AgentClient("http://agent.test", settings.TOKEN_SECRETS[caller], caller)._token(nsid)
