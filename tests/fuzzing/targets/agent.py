"""What comes to the crypto agent: calls and tokens, DID documents of users, and what rests outside it."""

import base64
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

import urllib3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction
from django.test import Client
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey
from pyhpke import KEMKey

from crypto_agent import archiving, content_at_rest, drafts
from crypto_agent.atsms import cbor
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.client import (
    AgentClient,
    AgentError,
    ArchiveItem,
    Expires,
    Facet,
    NewGroupUpdate,
    NewMessage,
    NewPreview,
    Receipt,
    SealedContent,
)
from crypto_agent.custody import AccountKeys
from crypto_agent.errors import AgentProblem
from crypto_agent.packed import PACKED, unpack
from crypto_agent.plain_json import plain
from crypto_agent.purposes import Context, Purpose
from crypto_agent.service_auth import Keys, verify_user_token
from crypto_agent.tokens import PERMITTED, verify_token
from crypto_agent.user_keys import document_url, signing_key
from crypto_agent.views import LEXICONS, NAMESPACE
from tests.crypto_agent.atsms.reference import ALICE as SIGNER
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT
from tests.crypto_agent.people import target as target_of
from tests.crypto_agent.web_person import WebPerson
from tests.fuzzing.target import json_bytes, json_of, target
from tests.fuzzing.targets.wire import _signed

AGENT, NOW = "did:web:agent.test", 1_800_000_000
PERSON = WebPerson(1, SIGNER.keys().key)
PERSONS_KEYS = Keys(lambda _did: PERSON.key.public_key(), lambda _did: PERSON.key.public_key())
KEYS = AccountKeys(ALICE, {1: AESGCM(bytes(32))})
ARCHIVE_KEY = X25519PrivateKey.from_private_bytes(bytes(range(32)))
ARCHIVE_SECRETS = {1: KEMKey.from_pyca_cryptography_key(ARCHIVE_KEY)}
METHOD = "dev.waxwing.agent.open"


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
        if headers.get("Content-Type") == PACKED:
            body = plain(unpack(body or b""))
        body = body or json_bytes(dict(parse_qsl(asked)))
        nsid = path.removeprefix("/xrpc/")
        self.sent.append(json_bytes({"method": nsid, "body": json.loads(body)}))
        return self.answer(nsid, body, headers["Authorization"])

    def answer(self, nsid: str, body: bytes, authorization: str) -> urllib3.HTTPResponse:
        """The answer to a call whose arguments are JSON, whichever form the client chose."""
        headers = {"HTTP_AUTHORIZATION": authorization}
        fields = json.loads(body)
        if LEXICONS.methods[nsid].is_query:
            named = fields.items() if isinstance(fields, dict) else ()
            parameters = {_sendable(name): _sendable(value) for name, value in named}
            answer = self._client.get(f"/xrpc/{nsid}", parameters, **headers)
        else:
            answer = self._client.post(f"/xrpc/{nsid}", body, content_type="application/json", **headers)
        return urllib3.HTTPResponse(BytesIO(answer.content), status=answer.status_code)


@cache
def _agent() -> tuple[InProcess, tuple[bytes, ...]]:
    """The agent with two accounts, and a good call of every method that it was asked to make them with."""
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
    return transport, tuple(transport.sent)


@target(lambda: _agent()[1], words=(b'"$bytes":"', b'"did":"did:plc:', b'"createdAt":"'), is_json=True)
def xrpc_call_target(data: bytes) -> None:
    """A whole call of the service, as either of its callers; nothing of it stays."""
    call = json_of(data)
    nsid = str(call.get("method")) if isinstance(call, dict) else ""
    name = nsid.removeprefix(NAMESPACE)
    if nsid not in LEXICONS.methods:
        return
    if name.startswith("app."):
        return
    caller = next((caller for caller, names in PERMITTED.items() if name in names), "web")
    client = AgentClient("http://agent.test", settings.TOKEN_SECRETS[caller], caller)
    transport, _ = _agent()
    with transaction.atomic():
        body = json.dumps(call.get("body")).encode()
        answer = transport.answer(nsid, body, f"Bearer {client._token(nsid)}")
        transaction.set_rollback(True)
    assert answer.status < 500, answer.data
    said: dict[str, Any] = answer.json()
    method = LEXICONS.methods[nsid]
    if answer.status == 200:
        LEXICONS.output(method, said)
    else:
        assert said["error"] in method.errors | {"InvalidRequest", "PayloadTooLarge"}, said


def _claims(caller: str = "worker", **changed: Any) -> dict[str, Any]:
    claims = {
        "iss": caller,
        "aud": "waxwing-agent",
        "lxm": METHOD,
        "iat": NOW,
        "exp": NOW + 60,
        "jti": "0" * 32,
    }
    return {**claims, **changed}


def _service_seeds() -> Iterator[bytes]:
    yield json_bytes(_claims())
    yield json_bytes(_claims("web", iat=1.5, exp=2**63))
    yield jwt.encode(
        {"alg": "HS256"}, _claims(), OctKey.import_key(settings.TOKEN_SECRETS["worker"])
    ).encode()


@target(_service_seeds, words=(b'"alg":"', b'"iss":"', b'"exp":', b".", b"eyJ"), is_json=True)
def service_token_target(data: bytes) -> None:
    """As a whole header, and as the claims of a token with a signature that holds."""
    secret = settings.TOKEN_SECRETS["worker"]
    signed = jws.serialize_compact({"alg": "HS256"}, data, OctKey.import_key(secret))
    for token in (
        data.decode("utf-8", "surrogateescape"),
        f"Bearer {data.decode('latin-1')}",
        f"Bearer {signed}",
    ):
        try:
            verify_token(token, {"worker": secret, "web": secrets.token_hex()}, METHOD, NOW)
        except AgentProblem:
            continue


def _user_seeds() -> Iterator[bytes]:
    claims = _claims(PERSON.did, aud=AGENT)
    yield json_bytes(claims)
    yield PERSON.token(AGENT, METHOD, iat=NOW, exp=NOW + 60).encode()
    yield json_bytes({**claims, "aud": [AGENT], "jti": 5})


@target(_user_seeds, words=(b'"alg":"', b'"iss":"did:', b'"exp":', b".", b"eyJ"), is_json=True)
def user_token_target(data: bytes) -> None:
    """As a whole header, and as the claims of a token with a signature that holds."""
    head = base64.urlsafe_b64encode(json_bytes({"alg": "ES256", "typ": "JWT"})).rstrip(b"=")
    signed_bytes = head + b"." + base64.urlsafe_b64encode(data).rstrip(b"=")
    signature = jws.serialize_compact({"alg": "ES256", "typ": "JWT"}, data, ECKey.import_key(PERSON.key))
    assert signature.encode().startswith(signed_bytes[:20])
    for token in (
        data.decode("utf-8", "surrogateescape"),
        f"Bearer {data.decode('latin-1')}",
        f"Bearer {signature}",
    ):
        try:
            user = verify_user_token(token, METHOD, [AGENT], PERSONS_KEYS, NOW)
        except AgentProblem:
            continue
        assert user.did.startswith("did:")


@target(lambda: (json_bytes(PERSON.document),), words=(b'"Multikey"', b"#atproto", b'"id":"'), is_json=True)
def user_document_target(data: bytes) -> None:
    document = json_of(data)
    did = document.get("id") if isinstance(document, dict) else document
    for read in (
        lambda: signing_key(document, PERSON.did),
        lambda: signing_key(document, str(did)),
        lambda: document_url(str(did), "https://plc.test", loopback=False),
    ):
        try:
            read()
        except AgentProblem:
            continue


def _archive_plaintext(signed: bytes) -> bytes:
    from crypto_agent.atsms.oneshot import read_signed

    read = read_signed(signed)
    fields: list[cbor.CborValue] = [
        *(
            1,
            read.conversation_id,
            read.message_id,
            signed,
            1_700_000_000_000,
            None,
            "in",
            bytes(32),
            ["x"],
            b"\0",
        )
    ]
    return cbor.encode(fields)


def _archive_seeds() -> Iterator[bytes]:
    for signed in _signed()[:4]:
        yield _archive_plaintext(signed)
        yield _archived(_archive_plaintext(signed))


def _archived(plaintext: bytes) -> bytes:
    recipient = KEMKey.from_pyca_cryptography_key(ARCHIVE_KEY.public_key())
    encapsulated, sender = archiving._SUITE.create_sender_context(recipient, info=archiving._INFO)
    return b"\x01\x00\x00\x00\x01" + encapsulated + sender.seal(plaintext, aad=ALICE.encode())


@target(_archive_seeds, words=(b"\x01\x00\x00\x00\x01", b"\x8a\x01\x58\x21", b"bin", b"cout"))
def archived_target(data: bytes) -> None:
    """As an archived message, and as the plaintext in one that opens."""
    for blob in (data, _archived(data)):
        try:
            archiving._read(KEYS, ARCHIVE_SECRETS, [], blob, bytes)
        except AtsmsError:
            continue


def _rest_seeds() -> Iterator[bytes]:
    yield cbor.encode([b"content", None])
    yield cbor.encode([b"content", b"signed"])
    resting = content_at_rest.RestingContent(Purpose.INCOMING_CONTENT, b"content", b"signed")
    yield content_at_rest.seal_content(KEYS, "01", "02", resting, bytes)


@target(_rest_seeds, words=(b"\x01\x02\x00\x00\x00\x01", b"\x82", b"\xf6"))
def content_at_rest_target(data: bytes) -> None:
    """As a sealed content, and as the plaintext in one that opens."""
    context = Context(Purpose.INCOMING_CONTENT, ALICE, conversation="01", message="02")
    opens = b"\x01\x02\x00\x00\x00\x01" + KEYS.encrypt(context, data, bytes)
    for blob in (data, opens):
        try:
            content_at_rest.unseal_content(KEYS, SealedContent("01", "02", blob))
        except (AgentProblem, AtsmsError):
            continue


@target(lambda: (b"\x01\x00\x00\x00\x01" + bytes(28),), words=(b"\x01\x00\x00\x00\x01",))
def draft_at_rest_target(data: bytes) -> None:
    assert drafts._opened(KEYS, "01", data) is None
