"""A message's content as it rests outside the agent: a blob that opens only for its account and message.

The blob is ``01 ‖ kind ‖ data key version (4 bytes) ‖ nonce ‖ AES-256-GCM``, its plaintext the CBOR of
``[content, signed message or null]``. The kind is authenticated through the purpose that it stands for.
"""

from typing import NamedTuple

from crypto_agent.atsms import cbor
from crypto_agent.client_values import SealedContent
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal
from crypto_agent.purposes import Context, Purpose

_VERSION = 1
_HEAD_BYTES = 6
_PAIR = cbor.head(4, 2)
_KINDS = {Purpose.OUTGOING_CONTENT: 1, Purpose.INCOMING_CONTENT: 2}
_PURPOSES = {kind: purpose for purpose, kind in _KINDS.items()}


class RestingContent(NamedTuple):
    """Unsealed: the content's exact bytes, and the SignedData around them once it is signed."""

    purpose: Purpose
    content: bytes
    signed: bytes | None

    def __repr__(self) -> str:
        return f"RestingContent({self.purpose!r})"


def seal_content(
    keys: AccountKeys, conversation_id: str, message_id: str, resting: RestingContent, random: Random
) -> bytes:
    """The blob of a message's content; both ids are lowercase hex."""
    context = Context(resting.purpose, keys.did, "", conversation_id, message_id)
    head = bytes((_VERSION, _KINDS[resting.purpose])) + keys.current_version.to_bytes(4, "big")
    return head + keys.encrypt(context, _written(resting.content, resting.signed), random)


def unseal_content(keys: AccountKeys, item: SealedContent) -> RestingContent:
    """What ``seal_content`` was given for this account, conversation and message; else CannotUnseal."""
    sealed = item.sealed
    purpose = _PURPOSES.get(sealed[1]) if len(sealed) > _HEAD_BYTES and sealed[0] == _VERSION else None
    if purpose is None:
        raise CannotUnseal("it can't be unsealed here")
    context = Context(purpose, keys.did, "", item.conversation_id, item.message_id)
    key_version = int.from_bytes(sealed[2:_HEAD_BYTES], "big")
    pair = cbor.decode_own(keys.decrypt(context, sealed[_HEAD_BYTES:], key_version))
    if isinstance(pair, list) and len(pair) == 2:
        content, signed = pair
        if isinstance(content, bytes) and (signed is None or isinstance(signed, bytes)):
            return RestingContent(purpose, content, signed)
    raise CannotUnseal("it can't be unsealed here")


def _written(content: bytes, signed: bytes | None) -> bytes:
    """The CBOR of ``[content, signed]``."""
    if signed is None:
        return cbor.encode([content, None])
    return b"".join((_PAIR, cbor.head(2, len(content)), content, cbor.head(2, len(signed)), signed))
