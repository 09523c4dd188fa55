"""DAG-CBOR and CIDs of atproto records, for hashing them (atproto's data model, IPLD DAG-CBOR).

Written only: records arrive as JSON. This is another dialect than ``cbor.py``: it has negative integers
and links, and its map keys are text alone.
"""

import base64
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from crypto_agent.atsms.cbor import head
from crypto_agent.atsms.errors import NotCanonical
from crypto_agent.atsms.json_bytes import from_json

MAX_DEPTH = 64
MAX_BYTES = 1 << 20
CID_BYTES = 36

#: CIDv1, dag-cbor, SHA-256 of 32 bytes; a link may point at raw bytes too.
_DAG_CBOR_CID = bytes.fromhex("01711220")
_RAW_CID = bytes.fromhex("01551220")
_LINK_TAG = head(6, 42)
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)


def cid(encoded: bytes) -> bytes:
    """The 36-byte CIDv1 of a DAG-CBOR block."""
    return _DAG_CBOR_CID + sha256(encoded).digest()


def cid_text(binary: bytes) -> str:
    """A CID as text: ``b`` and lowercase base32 without padding."""
    return "b" + base64.b32encode(binary).decode().lower().rstrip("=")


def cid_from_text(text: str) -> bytes:
    """The 36 bytes of a CIDv1 of SHA-256; NotCanonical for any other text."""
    digits = text.removeprefix("b").upper()
    try:
        binary = base64.b32decode(digits + "=" * (-len(digits) % 8))
    except ValueError as error:
        raise NotCanonical("a CID that is not base32") from error
    known = binary[:4] in (_DAG_CBOR_CID, _RAW_CID) and len(binary) == CID_BYTES
    if not known or cid_text(binary) != text:
        raise NotCanonical("not a CIDv1 of SHA-256")
    return binary


def encode_json(value: Any, *, literal: bool = False) -> bytes:
    """DAG-CBOR of a JSON value: ``{"$bytes": …}`` as bytes and ``{"$link": …}`` as a link.

    ``literal`` keeps these two as plain maps, as one widespread attestation library does. Raises
    NotCanonical for floats, integers beyond 64 bits, and anything else that the data model lacks.
    """
    pieces: list[bytes] = []
    _append(value, pieces, literal, MAX_DEPTH)
    return b"".join(pieces)


def _append(value: Any, pieces: list[bytes], literal: bool, depth_left: int) -> None:
    if depth_left == 0:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH}")
    if value is None:
        pieces.append(b"\xf6")
    elif isinstance(value, bool):
        pieces.append(b"\xf5" if value else b"\xf4")
    elif isinstance(value, int):
        pieces.append(_integer(value))
    elif isinstance(value, str):
        pieces.append(_text(value))
    elif isinstance(value, bytes):
        pieces += (head(_BYTES, len(value)), value)
    elif isinstance(value, Mapping):
        special = None if literal else _special(value)
        if special is not None:
            pieces.append(special)
            return
        pieces.append(head(_MAP, len(value)))
        for key, item in sorted((_text(key), item) for key, item in value.items()):
            pieces.append(key)
            _append(item, pieces, literal, depth_left - 1)
    elif isinstance(value, Sequence):
        pieces.append(head(_ARRAY, len(value)))
        for item in value:
            _append(item, pieces, literal, depth_left - 1)
    else:
        raise NotCanonical(f"a {type(value).__name__} has no place in a record")


def _integer(value: int) -> bytes:
    if not -(2**63) <= value < 2**63:
        raise NotCanonical("an integer beyond 64 bits")
    return head(_UNSIGNED, value) if value >= 0 else head(_NEGATIVE, -1 - value)


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise NotCanonical("a map key that is not text")
    try:
        octets = value.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("text with a lone surrogate") from error
    return head(_TEXT, len(octets)) + octets


def _special(value: Mapping[Any, Any]) -> bytes | None:
    """The encoding of a map that stands for bytes or a link in atproto's JSON, or None."""
    match dict(value):
        case {"$bytes": str(), **others} if not others:
            octets = from_json(value, MAX_BYTES)
            return head(_BYTES, len(octets)) + octets
        case {"$link": str(target), **others} if not others:
            link = b"\x00" + cid_from_text(target)
            return _LINK_TAG + head(_BYTES, len(link)) + link
    return None
