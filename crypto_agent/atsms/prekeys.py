"""Prekeys: the X25519 key that a device publishes each week for others to seal to (protocol §1)."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from crypto_agent.atsms import cbor
from crypto_agent.atsms.errors import AtsmsError, BadPrekey, ExpiredPrekey
from crypto_agent.atsms.json_bytes import from_json, to_json

COLLECTION = "at.atsms.prekey"
KEY_BYTES = 32
SIGNATURE_BYTES = 64

_MAX_TIME_LENGTH = 64


class Prekey(NamedTuple):
    """A published bundle: X25519 and Ed25519 public keys, ISO 8601 times, compact ``r‖s`` signature."""

    signed_prekey: bytes
    signing_pk: bytes
    created_at: str
    expires_at: str
    bundle_sig: bytes

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Prekey":
        """The bundle in an ``at.atsms.prekey`` record's JSON; BadPrekey for a field of another shape.

        Its signature and its time are not checked here.
        """
        return cls(
            signed_prekey=_record_bytes(record, "signedPrekey", KEY_BYTES),
            signing_pk=_record_bytes(record, "signingPk", KEY_BYTES),
            created_at=_record_time(record, "createdAt"),
            expires_at=_record_time(record, "expiresAt"),
            bundle_sig=_record_bytes(record, "bundleSig", SIGNATURE_BYTES),
        )

    def record(self) -> dict[str, Any]:
        """The ``at.atsms.prekey`` record as atproto JSON."""
        return {
            "$type": COLLECTION,
            "signedPrekey": to_json(self.signed_prekey),
            "signingPk": to_json(self.signing_pk),
            "createdAt": self.created_at,
            "expiresAt": self.expires_at,
            "bundleSig": to_json(self.bundle_sig),
        }


def sign_prekey(
    signed_prekey: bytes,
    signing_pk: bytes,
    created_at: str,
    expires_at: str,
    device_key: ec.EllipticCurvePrivateKey,
) -> Prekey:
    """A bundle signed by the device's P-256 key; both public keys are 32 bytes, times ISO 8601."""
    if len(signed_prekey) != KEY_BYTES or len(signing_pk) != KEY_BYTES:
        raise BadPrekey("a prekey bundle holds two keys of 32 bytes")
    parse_time(created_at)
    parse_time(expires_at)
    signed = cbor.encode([signed_prekey, signing_pk, created_at, expires_at])
    signature = device_key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(signature)
    bundle_sig = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return Prekey(signed_prekey, signing_pk, created_at, expires_at, bundle_sig)


def verify_prekey(prekey: Prekey, device_public_key: ec.EllipticCurvePublicKey, now: datetime) -> None:
    """Raises BadPrekey unless the device signed it, ExpiredPrekey unless ``now`` is before its end."""
    point = device_public_key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    verify_prekey_of_point(prekey, point, now)


def verify_prekey_of_point(prekey: Prekey, point: bytes, now: datetime) -> None:
    """The same for a device's key as its uncompressed ``point``, 65 bytes."""
    key_to_seal_to(prekey, point, now)


def key_to_seal_to(prekey: Prekey, point: bytes, now: datetime) -> X25519PublicKey:
    """The prekey's public key, verified in the same way."""
    key, expires_at = _verified(prekey, point)
    if expires_at <= now:
        raise ExpiredPrekey(f"the prekey expired at {prekey.expires_at}")
    return key


def parse_time(text: str) -> datetime:
    """The aware time of an ISO 8601 text with a zone; BadPrekey for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadPrekey("a time that is not ISO 8601") from error
    if time.tzinfo is None:
        raise BadPrekey("a time without its zone")
    return time


# The same bundle is used for every message to a device for a week; the answer never changes.
@lru_cache(maxsize=4096)
def _verified(prekey: Prekey, point: bytes) -> tuple[X25519PublicKey, datetime]:
    """The key of a bundle that the device of ``point`` signed, and when it expires; else BadPrekey."""
    if len(prekey.signed_prekey) != KEY_BYTES or len(prekey.signing_pk) != KEY_BYTES:
        raise BadPrekey("a prekey bundle holds two keys of 32 bytes")
    if len(prekey.bundle_sig) != SIGNATURE_BYTES:
        raise BadPrekey("a prekey bundle's signature is 64 bytes")
    expires_at = parse_time(prekey.expires_at)
    if not _signature_holds(prekey, point):
        raise BadPrekey("the device did not sign this prekey bundle")
    return X25519PublicKey.from_public_bytes(prekey.signed_prekey), expires_at


# A bundle that nobody signed is not verified again either.
@lru_cache(maxsize=4096)
def _signature_holds(prekey: Prekey, point: bytes) -> bool:
    signed = cbor.encode([prekey.signed_prekey, prekey.signing_pk, prekey.created_at, prekey.expires_at])
    r, s = prekey.bundle_sig[:32], prekey.bundle_sig[32:]
    signature = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    try:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _record_bytes(record: Mapping[str, Any], name: str, length: int) -> bytes:
    try:
        value = from_json(record.get(name), length)
    except AtsmsError as error:
        raise BadPrekey(f"{name} is not {length} bytes") from error
    if len(value) != length:
        raise BadPrekey(f"{name} is not {length} bytes")
    return value


def _record_time(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or len(value) > _MAX_TIME_LENGTH:
        raise BadPrekey(f"{name} is not a time")
    parse_time(value)
    return value
