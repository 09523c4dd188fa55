"""What comes to the crypto agent: calls and tokens, DID documents of users, and what rests outside it."""

import base64
import secrets
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey
from pyhpke import KEMKey

from crypto_agent import archiving, content_at_rest
from crypto_agent.atsms import cbor
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.client import (
    SealedContent,
)
from crypto_agent.custody import AccountKeys
from crypto_agent.errors import AgentProblem
from crypto_agent.purposes import Context, Purpose
from crypto_agent.service_auth import Keys, verify_user_token
from crypto_agent.tokens import verify_token
from crypto_agent.user_keys import document_url, signing_key
from tests.crypto_agent.atsms.reference import ALICE as SIGNER
from tests.crypto_agent.people import ALICE
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
