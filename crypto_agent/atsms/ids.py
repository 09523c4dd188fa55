"""Identifiers that are derived, never carried (protocol §6), and the syntax of a DID."""

import re
from collections.abc import Iterable
from functools import lru_cache

from cryptography.hazmat.primitives import hashes

from crypto_agent.atsms.errors import BadContent

CONVERSATION_ID_BYTES = 33
MESSAGE_ID_BYTES = 32
ONE_SHOT = 0x01
GROUP = 0x02

_SHA256 = hashes.SHA256()
_SHA256_ID = b"\x01"
_ONE_SHOT_ID = bytes((ONE_SHOT,))
_ONE_SHOT_DOMAIN = b"atsms/convo/oneshot/v2"
_DID = re.compile(r"did:[a-z0-9]{1,32}:[A-Za-z0-9._:%-]{0,2040}[A-Za-z0-9._-]")


def is_did(value: str) -> bool:
    """Whether ``value`` has the syntax of a DID (atproto's subset, at most 2 KiB)."""
    return _DID.fullmatch(value) is not None


def conversation_id(dids: Iterable[str]) -> bytes:
    """The 33-byte id of the conversation between ``dids``: the sender and all recipients."""
    pieces = [_ONE_SHOT_DOMAIN]
    for did in sorted([did.encode() for did in set(dids)]):
        pieces += (_len16(did), did)
    return _ONE_SHOT_ID + _sha256(b"".join(pieces))


# People write to each other more than once.
@lru_cache(maxsize=512)
def between(sender: str, recipients: tuple[str, ...]) -> tuple[bytes, frozenset[str]]:
    """The id of the conversation, and the DIDs in it; raises BadContent for a recipient that is no DID."""
    if not all(is_did(did) for did in recipients):
        raise BadContent("a recipient that is not a DID")
    participants = frozenset((sender, *recipients))
    return conversation_id(participants), participants


def message_id(sender: str, conversation_id: bytes, content: bytes, salt: bytes) -> bytes:
    """The 32-byte id of a message.

    ``sender`` is the DID that the signature proves, ``content`` the exact bytes that were signed and
    ``salt`` the 16 bytes inside them.
    """
    did = sender.encode()
    hashed = _len16(did) + did + _len16(conversation_id) + conversation_id + content + salt
    return _SHA256_ID + _sha256(hashed)[: MESSAGE_ID_BYTES - 1]


def envelope_id(envelope: bytes) -> bytes:
    """The 32-byte id of an envelope as it crosses the network (protocol §3)."""
    return _sha256(envelope)


def _sha256(data: bytes) -> bytes:
    return hashes.Hash.hash(_SHA256, data)


def _len16(value: bytes) -> bytes:
    if len(value) > 0xFFFF:
        raise BadContent("an identifier longer than 65,535 bytes")
    return len(value).to_bytes(2, "big")
