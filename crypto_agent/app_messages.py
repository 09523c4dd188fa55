"""A message that an app had made, in the app's hands, to be sealed for more devices than one call takes.

The blob is ``01 ‖ data key version (4 bytes) ‖ nonce ‖ AES-256-GCM``, its plaintext the CBOR of
``[conversation id, message id, created at in ms, made at in ms, content at rest]``. It is bound to the grant,
and good for an hour: nothing that the user wrote elsewhere can be given for it, nor by another app.
"""

from datetime import UTC, datetime, timedelta

from crypto_agent.atsms import cbor
from crypto_agent.client_values import Composed
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal
from crypto_agent.purposes import Context, Purpose

LIFETIME = timedelta(hours=1)
_VERSION = 1
_HEAD_BYTES = 5
_LAST = int(datetime.max.replace(tzinfo=UTC).timestamp() * 1000)


def seal_for_app(
    keys: AccountKeys, grant_id: str, composed: Composed, now: datetime, random: Random
) -> bytes:
    """The blob of a message that was composed for the app of a grant."""
    encoded = cbor.encode(
        [
            composed.conversation_id,
            composed.message_id,
            _milliseconds(composed.created_at),
            _milliseconds(now),
            composed.sealed,
        ]
    )
    head = bytes((_VERSION,)) + keys.current_version.to_bytes(4, "big")
    return head + keys.encrypt(_context(keys, grant_id), encoded, random)


def unseal_for_app(keys: AccountKeys, grant_id: str, blob: bytes, now: datetime) -> Composed:
    """The message that ``seal_for_app`` was given for this account and grant within the last hour; else
    CannotUnseal."""
    if len(blob) <= _HEAD_BYTES or blob[0] != _VERSION:
        raise CannotUnseal("it can't be unsealed here")
    key_version = int.from_bytes(blob[1:_HEAD_BYTES], "big")
    match cbor.decode(keys.decrypt(_context(keys, grant_id), blob[_HEAD_BYTES:], key_version)):
        case [str(conversation_id), str(message_id), int(created), int(made), bytes(sealed)]:
            if created < _LAST and _milliseconds(now - LIFETIME) < made:
                created_at = datetime.fromtimestamp(created / 1000, UTC)
                return Composed(conversation_id, message_id, created_at, sealed)
    raise CannotUnseal("it can't be unsealed here")


def _context(keys: AccountKeys, grant_id: str) -> Context:
    return Context(Purpose.APP_MESSAGE, keys.did, device=grant_id)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
