"""Byte strings in atproto's JSON: ``{"$bytes": "<base64 without padding>"}``."""

import binascii
from typing import Any

from crypto_agent.atsms.errors import NotCanonical


def to_json(value: bytes) -> dict[str, str]:
    """The JSON object that stands for ``value``."""
    return {"$bytes": binascii.b2a_base64(value, newline=False).rstrip(b"=").decode()}


def from_json(value: Any, max_bytes: int) -> bytes:
    """The bytes of such an object, padded or not; NotCanonical for other values or longer bytes."""
    encoded = value.get("$bytes") if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(encoded, str) and len(encoded) <= 2 * max_bytes + 4:
        decoded = _decode_base64(encoded)
        if len(decoded) <= max_bytes:
            return decoded
    raise NotCanonical(f"not a byte string of at most {max_bytes} bytes")


def _decode_base64(encoded: str) -> bytes:
    digits = encoded.rstrip("=")
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise NotCanonical("not base64") from error
