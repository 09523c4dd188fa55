"""What records and files of devices hold: JSON, and the texts of keys, times and links in it."""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from crypto_agent.__main__ import open_lines
from crypto_agent.atsms import attestations, dag_cbor, did_keys, ids, prekeys
from crypto_agent.atsms import json_bytes as bytes_in_json
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.device_file import parse_devices
from tests.crypto_agent.atsms.reference import ALICE, BOB, CAROL, CASES, DEVICES, vectors
from tests.fuzzing.target import json_bytes, json_of, target

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KEY = ALICE.keys().key
RECORD_WORDS = (b'"$bytes":"', b'"$link":"', b'"$type":"', b'"signatures":[', b'"repository":"', b'"cid":"')


def _prekey_seeds() -> Iterator[bytes]:
    yield json_bytes(vectors("prekey-record.json"))
    for device in DEVICES.values():
        if device.prekey:
            yield json_bytes(device.prekey.record())


@target(_prekey_seeds, words=(b'"$bytes":"', b"createdAt", b"T00:00:00Z", b"+23:59"), is_json=True)
def prekey_target(data: bytes) -> None:
    """As it is, and with a signature of the first device that holds."""
    record = json_of(data)
    if not isinstance(record, dict):
        return
    try:
        read = prekeys.Prekey.from_record(record)
        assert prekeys.Prekey.from_record(read.record()) == read
        signed = prekeys.sign_prekey(
            read.signed_prekey, read.signing_pk, read.created_at, read.expires_at, KEY
        )
        for bundle, key in ((read, BOB.certificate.public_key), (signed, KEY.public_key())):
            try:
                prekeys.verify_prekey(bundle, key, NOW)
            except AtsmsError:
                continue
    except AtsmsError:
        return


def _attested() -> Iterator[bytes]:
    metadata = {"$type": "dev.test.inline", "key": did_keys.did_key(KEY.public_key())}
    record = {"$type": "dev.test.record", "text": "hello", "n": -5, "b": {"$bytes": "AAEC"}}
    yield json_bytes(attestations.sign_inline(record, metadata, "did:plc:alice", KEY))
    linked = {**record, "link": {"$link": dag_cbor.cid_text(dag_cbor.cid(b"x"))}, "list": [1, [2], {}]}
    proof = attestations.make_proof(linked, metadata, "did:plc:alice")
    reference = {"$type": attestations.STRONG_REF, "uri": "at://x", "cid": attestations.record_cid(proof)}
    yield json_bytes({**linked, "proof": proof, "signatures": [reference]})


@target(_attested, words=RECORD_WORDS, is_json=True)
def attestation_target(data: bytes) -> None:
    record = json_of(data)
    if not isinstance(record, dict):
        return
    metadata = {"$type": "dev.test.inline", "key": "k"}
    entries, proof = record.get("signatures"), record.get("proof")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            with suppress(AtsmsError):
                attestations.verify_inline(record, entry, "did:plc:alice", KEY.public_key())
            with suppress(AtsmsError):
                attestations.verify_remote(
                    record, entry, proof if isinstance(proof, dict) else {}, "did:plc:alice"
                )
    try:
        unsigned = {name: value for name, value in record.items() if name != "signatures"}
        signed = attestations.sign_inline(unsigned, metadata, "did:plc:alice", KEY)
    except AtsmsError:
        return
    attestations.verify_inline(signed, signed["signatures"][-1], "did:plc:alice", KEY.public_key())


@target(
    lambda: (dag_cbor.cid_text(dag_cbor.cid(b"x")).encode(), b"bafkreihdwdcefgh"),
    words=(b"bafyrei", b"bafkrei"),
)
def cid_target(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        binary = dag_cbor.cid_from_text(text)
    except AtsmsError:
        pass
    else:
        assert dag_cbor.cid_text(binary) == text
    assert bytes_in_json.from_json(bytes_in_json.to_json(data), len(data)) == data


def _key_seeds() -> Iterator[bytes]:
    for device in DEVICES.values():
        text = did_keys.did_key(device.certificate.public_key)
        yield text.encode()
        yield f"{text}#{text[8:]}".encode()
        yield text.removeprefix("did:key:").encode()
        yield device.certificate.did.encode()


@target(_key_seeds, words=(b"did:key:", b"zDn", b"zQ3s", b"did:web:", b"%3A"))
def did_key_target(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for kind in (None, "Multikey", "EcdsaSecp256k1VerificationKey2019", "EcdsaSecp256r1VerificationKey2019"):
        try:
            key = did_keys.public_key(text) if kind is None else did_keys.method_key(kind, text)
        except AtsmsError:
            continue
        assert did_keys.public_key(did_keys.did_key(key)) == key
    if ids.is_did(text):
        assert text.startswith("did:")


def _device_file_seeds() -> Iterator[bytes]:
    devices = vectors("oneshot-reference.json")["devices"]
    yield json_bytes(devices[:2])
    yield json_bytes({"devices": devices[2:3]})


@target(_device_file_seeds, words=(b'"privateKeyPem":"', b'"prekeyRecord":{', b"\\n"), is_json=True)
def device_file_target(data: bytes) -> None:
    try:
        devices = parse_devices(data)
        for device in devices.values():
            device.keys()
    except AtsmsError:
        return


def _line_seeds() -> Iterator[bytes]:
    for case in CASES[:4]:
        yield json_bytes(case)
    yield json_bytes({"name": "n", "openWith": CAROL.certificate.fingerprint, "envelopeB64": "MAA="})


@target(_line_seeds, words=(b'"openWith":"', b'"envelopeB64":"', b"\n"), is_json=True)
def open_command_target(data: bytes) -> None:
    for answer in open_lines(io.BytesIO(data), DEVICES):
        json.loads(json.dumps(answer))
        assert ("error" in answer) != ("messageIdHex" in answer)
