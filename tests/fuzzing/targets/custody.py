"""What people bring to the agent: exports of accounts, files, passkeys, recovery codes."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from unittest.mock import patch

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import transaction
from django.test import RequestFactory
from webauthn.helpers import bytes_to_base64url

from crypto_agent import (
    account_file,
    app_messages,
    drafts,
    exporting,
    files_at_rest,
    importing,
    key_store,
    packed,
    passkeys,
    recovery_codes,
)
from crypto_agent.atsms import cbor
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.client_values import SealedContent
from crypto_agent.devices import create_device
from crypto_agent.errors import AgentProblem, InvalidRequest
from crypto_agent.framed import FramedBody
from crypto_agent.framed_json import STREAM
from crypto_agent.passkey_challenges import PasskeyPurpose, challenges
from crypto_agent.purposes import Context, Purpose
from crypto_agent.sealing import composed_content
from tests.crypto_agent.people import ALICE, BOB
from tests.fuzzing.target import json_bytes, json_of, target
from tests.fuzzing.targets.agent import KEYS

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
#: In place of Argon2id, which takes 64 MiB by design.
DERIVED = bytes(32), bytes(range(32))
HEAD: list[cbor.CborValue] = ["waxwing-account-keys", 1, ALICE, 0, 65536, 3, 4, bytes(16), DERIVED[1]]
CHALLENGE, ORIGIN, RP_ID = bytes(range(32)), "http://localhost:8000", "localhost"
AUTHENTICATOR = ec.derive_private_key(9, ec.SECP256R1())


def _no_random(count: int) -> bytes:
    return bytes(range(1, count + 1))


def _account_seeds() -> Iterator[bytes]:
    with transaction.atomic():
        create_device(ALICE, "alice.test", "mail.test", NOW, _no_random)
        made: list[account_file.AccountSecrets] = []

        def keep(did: str, found: account_file.AccountSecrets, *_rest: object) -> bytes:
            made.append(found)
            return b""

        with patch.object(account_file, "seal_keys", keep):
            exporting.export_account(ALICE, "a long passphrase", NOW, _no_random)
        transaction.set_rollback(True)
    plaintext = cbor.encode(account_file._secrets_cbor(made[0]))
    yield plaintext
    yield _keys_file(plaintext)


def _keys_file(plaintext: bytes) -> bytes:
    nonce = bytes(12)
    cipher = account_file.AESGCM(DERIVED[0])
    return cbor.encode([HEAD, nonce, cipher.encrypt(nonce, plaintext, cbor.encode(HEAD))])


@target(lambda: list(_account_seeds()), words=(b"\x69exportKey", b"\x67prekeys", b"\xf6", b"\x1b"))
def account_keys_target(data: bytes) -> None:
    """As an export's file of keys, and as the plaintext in one that opens; nothing of it stays."""
    for keys_file in (data, _keys_file(data)):
        with patch.object(account_file, "_derived", return_value=DERIVED), transaction.atomic():
            with suppress(AgentProblem):
                secrets = importing.open_export(ALICE, keys_file, "a long passphrase")
                importing.import_account(ALICE, secrets, (), NOW, _no_random)
            transaction.set_rollback(True)


def _part_seeds() -> Iterator[bytes]:
    yield account_file.seal_part(DERIVED[0], ALICE, exporting.UNSENT, "", b"state", bytes)
    yield cbor.encode([bytes(33), bytes(32), b"content"])
    yield exporting.wrap_export_key(KEYS, Purpose.EXPORT_KEY, bytes(32), bytes)


@target(_part_seeds, words=(b"\x84", b"waxwing-account-part", b"\x58\x21"))
def account_part_target(data: bytes) -> None:
    """As a part of an export, as the plaintext of a message in one, and as a wrapped key."""
    sealed = account_file.seal_part(DERIVED[0], ALICE, exporting.UNSENT, "", data, bytes)
    for part in (data, sealed):
        with suppress(AgentProblem):
            exporting._opened_unsent(KEYS, DERIVED[0], part, bytes)
    with suppress(AgentProblem):
        exporting.unwrap_export_key(KEYS, Purpose.EXPORT_KEY, data)
    with suppress(AgentProblem, AtsmsError):
        composed_content(KEYS, SealedContent("01", "02", data))


def _file_seeds() -> Iterator[bytes]:
    described = files_at_rest.FileDescription(
        "a.txt", "text/plain", 3, bytes(16), bytes(12), bytes(32), b"abc"
    )
    yield files_at_rest.seal_file(KEYS, "1", described, bytes)
    yield cbor.encode(["a.txt", "text/plain", 3, bytes(16), bytes(12), bytes(32), None])


@target(_file_seeds, words=(b"\x02\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01", b"\x87", b"\xf6"))
def file_at_rest_target(data: bytes) -> None:
    """As a file's sealed description, and as the plaintext in one that opens, of either format."""
    of_file = Context(Purpose.FILE, ALICE, message="1")
    opens = b"\x02\x00\x00\x00\x01" + KEYS.encrypt(of_file, data, bytes)
    of_account = b"\x01\x00\x00\x00\x01" + KEYS.encrypt(Context(Purpose.FILE, ALICE), data, bytes)
    for blob in (data, opens, of_account):
        with suppress(AgentProblem, AtsmsError):
            files_at_rest.unseal_file(KEYS, "1", blob)


def _app_message_seeds() -> Iterator[bytes]:
    yield cbor.encode(["01" * 33, "02" * 32, 0, 0, b"sealed"])
    yield cbor.encode(["01" * 33, "02" * 32, 2**53 - 1, 2**53 - 1, b"sealed"])


@target(_app_message_seeds, words=(b"\x01\x00\x00\x00\x01", b"\x85", b"\x1b"))
def app_message_target(data: bytes) -> None:
    """As what an app brings back, and as the plaintext in one that opens."""
    context = Context(Purpose.APP_MESSAGE, ALICE, device="ab" * 16)
    opens = b"\x01\x00\x00\x00\x01" + KEYS.encrypt(context, data, bytes)
    for blob in (data, opens):
        with suppress(AgentProblem, AtsmsError):
            app_messages.unseal_for_app(KEYS, "ab" * 16, blob, datetime(2026, 1, 1, tzinfo=UTC))


@target(lambda: (b"\x01\x00\x00\x00\x01" + bytes(30),), words=(b"\x01\x00\x00\x00\x01",))
def draft_at_rest_target(data: bytes) -> None:
    with suppress(AgentProblem):
        assert drafts._opened(KEYS, "00" * 16, data) is None


@target(
    lambda: (b"\x00\x00\x00\x02{}file", b"\x00\x00\x10\x00{}"),
    words=(b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"),
)
def framed_call_target(data: bytes) -> None:
    request = RequestFactory().post("/", data, content_type=STREAM)
    request._stream = io.BytesIO(data)
    with suppress(InvalidRequest):
        body = FramedBody(request)
        said = body.json()
        assert said + b"".join(body.chunks()) == data[4:]


@cache
def _has_account() -> bool:
    """Bob, with the passkey that the seeds were made with."""
    with transaction.atomic():
        passkeys.custody_of(key_store.new_account(BOB, NOW, _no_random)[0], _no_random)
    challenges.issue(BOB, PasskeyPurpose.REGISTER, lambda _count: CHALLENGE, bytes(32))
    passkeys.add_passkey(BOB, "A passkey", _registration(), NOW, _no_random)
    return True


def _client_data(kind: str) -> bytes:
    return json_bytes({"type": kind, "challenge": bytes_to_base64url(CHALLENGE), "origin": ORIGIN})


def _credential(response: dict[str, object]) -> dict[str, object]:
    name = bytes_to_base64url(b"credential-of-bob")
    return {
        "id": name,
        "rawId": name,
        "type": "public-key",
        "response": response,
        "clientExtensionResults": {},
    }


def _registration() -> dict[str, object]:
    numbers = AUTHENTICATOR.public_key().public_numbers()
    key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
    name = b"credential-of-bob"
    made = bytes(16) + len(name).to_bytes(2, "big") + name + cbor2.dumps(key)
    data = hashlib.sha256(RP_ID.encode()).digest() + b"\x45" + bytes(4) + made
    attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
    return _credential(
        {
            "clientDataJSON": bytes_to_base64url(_client_data("webauthn.create")),
            "attestationObject": bytes_to_base64url(attested),
            "transports": ["internal"],
        }
    )


def _assertion() -> dict[str, object]:
    data = hashlib.sha256(RP_ID.encode()).digest() + b"\x05" + bytes(4)
    client_data = _client_data("webauthn.get")
    signature = AUTHENTICATOR.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
    return _credential(
        {
            "clientDataJSON": bytes_to_base64url(client_data),
            "authenticatorData": bytes_to_base64url(data),
            "signature": bytes_to_base64url(signature),
            "userHandle": None,
        }
    )


def _passkey_seeds() -> Iterator[bytes]:
    assert _has_account()
    yield json_bytes(_registration())
    yield json_bytes(_assertion())


@target(
    _passkey_seeds, words=(b'"response":{', b'"rawId":"', b'"transports":[', b"o2Nm", b"eyJ"), is_json=True
)
def passkey_target(data: bytes) -> None:
    """As what a browser says of a new passkey, and as what it says that one confirmed."""
    credential = json_of(data)
    if not isinstance(credential, dict):
        return
    for purpose in (PasskeyPurpose.REGISTER, PasskeyPurpose.SIGN_IN):
        challenges.issue(BOB, purpose, lambda _count: CHALLENGE, bytes(32))
        with transaction.atomic():
            with suppress(AgentProblem):
                if purpose is PasskeyPurpose.REGISTER:
                    passkeys.add_passkey(BOB, "Another", credential, NOW, _no_random)
                else:
                    passkeys.verify(BOB, purpose, credential, NOW)
            transaction.set_rollback(True)


@target(lambda: (recovery_codes.written(bytes(range(20))).encode(),), words=(b"-", b"O", b"I", b"\xc4\xb1"))
def recovery_code_target(data: bytes) -> None:
    with suppress(AgentProblem):
        code = recovery_codes.read(data.decode("utf-8", "surrogateescape"))
        assert recovery_codes.read(recovery_codes.written(code)) == code


def _packed() -> Iterator[bytes]:
    yield packed.pack({"did": ALICE, "envelopes": [b"one", b"", b"three"], "n": {"text": None}})
    yield packed.pack([b"\x00" * 40])


@target(_packed, words=(b"\x81\xa1n", b"\xc4\x01", b"\xc7\x01", b"\xdf"))
def packed_call_target(data: bytes) -> None:
    with suppress(ValueError):
        value = packed.unpack(data)
        # Not the values themselves: what is no number does not equal itself.
        again = packed.pack(value)
        assert packed.pack(packed.unpack(again)) == again
