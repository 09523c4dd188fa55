"""Prekey bundles: the reference's signatures, our own, and what is refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from crypto_agent.atsms.errors import BadPrekey, ExpiredPrekey
from crypto_agent.atsms.prekeys import Prekey, sign_prekey, verify_prekey
from tests.crypto_agent.atsms.reference import DEVICES, vectors

VECTOR = vectors("prekey-record.json")["prekey"]
DEVICE_KEY = ec.EllipticCurvePublicKey.from_encoded_point(
    ec.SECP256R1(), bytes.fromhex(VECTOR["identityPubHex"])
)
PREKEY = Prekey(
    signed_prekey=bytes.fromhex(VECTOR["signedPrekeyHex"]),
    signing_pk=bytes.fromhex(VECTOR["signingPkHex"]),
    created_at=VECTOR["createdAt"],
    expires_at=VECTOR["expiresAt"],
    bundle_sig=bytes.fromhex(VECTOR["bundleSigHex"]),
)
END = datetime(2026, 8, 2, tzinfo=UTC)
BEFORE_THE_END = END - timedelta(seconds=1)


def test_the_reference_bundle_verifies_until_it_expires() -> None:
    verify_prekey(PREKEY, DEVICE_KEY, BEFORE_THE_END)
    with pytest.raises(ExpiredPrekey):
        verify_prekey(PREKEY, DEVICE_KEY, END)


@pytest.mark.parametrize("device", DEVICES.values(), ids=lambda device: device.certificate.fingerprint[:8])
def test_the_reference_signatures_are_reproduced(device) -> None:  # type: ignore[no-untyped-def]
    prekey = device.prekey
    made = sign_prekey(
        prekey.signed_prekey, prekey.signing_pk, prekey.created_at, prekey.expires_at, device.key
    )
    assert made == prekey
    verify_prekey(made, device.certificate.public_key, BEFORE_THE_END)


@pytest.mark.parametrize(
    "changed",
    [
        PREKEY._replace(signed_prekey=bytes(32)),
        PREKEY._replace(signed_prekey=bytes(31)),
        PREKEY._replace(signing_pk=bytes(32)),
        PREKEY._replace(created_at="2026-07-26T00:00:00.001Z"),
        PREKEY._replace(expires_at="2027-08-02T00:00:00.000Z"),
        PREKEY._replace(expires_at="2026-08-02T00:00:00"),
        PREKEY._replace(expires_at="soon"),
        PREKEY._replace(bundle_sig=bytes(64)),
        PREKEY._replace(bundle_sig=b"\xff" * 64),
        PREKEY._replace(bundle_sig=PREKEY.bundle_sig + b"\x00"),
        PREKEY._replace(bundle_sig=PREKEY.bundle_sig[:-1] + b"\x01"),
    ],
)
def test_a_changed_bundle_does_not_verify(changed: Prekey) -> None:
    with pytest.raises(BadPrekey):
        verify_prekey(changed, DEVICE_KEY, BEFORE_THE_END)


def test_another_devices_bundle_does_not_verify() -> None:
    other = next(iter(DEVICES.values()))
    with pytest.raises(BadPrekey):
        verify_prekey(PREKEY, other.certificate.public_key, BEFORE_THE_END)


def test_the_record_is_read_back_padded_or_not() -> None:
    record = json.loads(json.dumps(PREKEY.record()))
    assert Prekey.from_record(record) == PREKEY
    assert "=" not in record["signedPrekey"]["$bytes"]
    record["signedPrekey"]["$bytes"] += "="
    assert Prekey.from_record(record) == PREKEY


@pytest.mark.parametrize(
    "changes",
    [
        {"signedPrekey": None},
        {"signedPrekey": "text"},
        {"signedPrekey": {"$bytes": "AAAA"}},
        {"signedPrekey": {"$bytes": "not base64!" * 3}},
        {"signedPrekey": {"$bytes": "A" * 100_000}},
        {"signedPrekey": {"$link": "bafy"}},
        {"bundleSig": {"$bytes": "AAAA", "more": 1}},
        {"createdAt": 7},
        {"createdAt": "yesterday"},
        {"expiresAt": "2026-08-02"},
        {"expiresAt": "2" * 1000},
    ],
)
def test_records_with_fields_of_another_shape(changes: dict) -> None:
    with pytest.raises(BadPrekey):
        Prekey.from_record({**PREKEY.record(), **changes})


def test_keys_of_another_length_are_not_signed() -> None:
    device = next(iter(DEVICES.values()))
    assert device.key is not None
    with pytest.raises(BadPrekey):
        sign_prekey(bytes(31), bytes(32), PREKEY.created_at, PREKEY.expires_at, device.key)
