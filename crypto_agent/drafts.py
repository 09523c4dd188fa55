"""What somebody is writing, as it rests outside the agent until it is sent or thrown away.

The blob is ``01 ‖ data key version (4 bytes) ‖ nonce ‖ AES-256-GCM``. What is in it is the caller's: it
goes back to the pages alone, and into no message.
"""

from collections.abc import Sequence

from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal
from crypto_agent.key_store import account_keys
from crypto_agent.purposes import Context, Purpose

_VERSION = 1
_HEAD_BYTES = 5


def seal_draft(did: str, draft_id: str, draft: bytes, random: Random) -> bytes:
    """The blob of a draft, which opens for ``did`` under this id alone. Raises NoSuchAccount."""
    _, keys = account_keys(did)
    return _sealed(keys, draft_id, draft, random)


def open_drafts(did: str, items: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
    """The drafts of pairs of id and blob in their order; None for what is not one. Raises NoSuchAccount."""
    _, keys = account_keys(did)
    return [_opened(keys, draft_id, sealed) for draft_id, sealed in items]


def seal_again(keys: AccountKeys, draft_id: str, sealed: bytes, random: Random) -> bytes | None:
    """A blob under the newest version of the data key; None for what is not one."""
    draft = _opened(keys, draft_id, sealed)
    return None if draft is None else _sealed(keys, draft_id, draft, random)


def _sealed(keys: AccountKeys, draft_id: str, draft: bytes, random: Random) -> bytes:
    head = bytes((_VERSION,)) + keys.current_version.to_bytes(4, "big")
    return head + keys.encrypt(_context(keys.did, draft_id), draft, random)


def _opened(keys: AccountKeys, draft_id: str, sealed: bytes) -> bytes | None:
    if len(sealed) <= _HEAD_BYTES or sealed[0] != _VERSION:
        return None
    key_version = int.from_bytes(sealed[1:_HEAD_BYTES], "big")
    try:
        return keys.decrypt(_context(keys.did, draft_id), sealed[_HEAD_BYTES:], key_version)
    except CannotUnseal:
        return None


def _context(did: str, draft_id: str) -> Context:
    return Context(Purpose.DRAFT, did, message=draft_id)
