"""A PLC directory's log, made and signed here: for what a directory that is honest never shows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from crypto_agent.atsms import dag_cbor, did_keys

#: A key that is always the same, so that the log is.
KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(11, ec.SECP256K1())
CREATED_AT = "2026-11-20T12:00:00.000Z"


def key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return did_keys.did_key(key.public_key())


def operation(
    prev: str | None,
    *,
    signed_by: ec.EllipticCurvePrivateKey = KEY,
    rotation_keys: list[str] | None = None,
    handle: str = "dora.test",
    pds: str = "https://pds.test",
) -> dict[str, Any]:
    """The content of an entry after the one with the CID ``prev``."""
    return sign(
        {
            "type": "plc_operation",
            "rotationKeys": rotation_keys or [key_text(KEY), key_text(OTHER_KEY)],
            "verificationMethods": {"atproto": key_text(KEY)},
            "alsoKnownAs": [f"at://{handle}"],
            "services": {"atproto_pds": {"type": "AtprotoPersonalDataServer", "endpoint": pds}},
            "prev": prev,
        },
        signed_by,
    )


def sign(body: Mapping[str, Any], key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    encoded = dag_cbor.encode_json(body, literal=True)
    r, s = decode_dss_signature(key.sign(encoded, ec.ECDSA(SHA256(), deterministic_signing=True)))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return {**body, "sig": base64.urlsafe_b64encode(raw).decode().rstrip("=")}


def cid_of(body: Mapping[str, Any]) -> str:
    return dag_cbor.cid_text(dag_cbor.cid(dag_cbor.encode_json(body, literal=True)))


def did_of(genesis: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(dag_cbor.encode_json(genesis, literal=True)).digest()
    return f"did:plc:{base64.b32encode(digest).decode().lower()[:24]}"


def log_of(*bodies: Mapping[str, Any], nullified: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """The audit log of these entries; the first gives the DID."""
    did = did_of(bodies[0])
    return [
        {
            "did": did,
            "operation": dict(body),
            "cid": cid_of(body),
            "nullified": number in nullified,
            "createdAt": CREATED_AT,
        }
        for number, body in enumerate(bodies)
    ]
