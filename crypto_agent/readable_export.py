"""An account's export as plain text: a permit for it, and what is given out against the permit alone.

The permit is what makes an export one use of the audit log and one answer of the passkey, however many calls
it takes. It goes to the caller wrapped under the account's data key, and only the agent can use it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from crypto_agent import files, reading
from crypto_agent.client_values import ReadMessage, SealedContent
from crypto_agent.custody import Random
from crypto_agent.errors import CannotUnseal, NoExportBegun
from crypto_agent.exporting import unwrap_export_key, wrap_export_key
from crypto_agent.framed import FramedAnswer, FramedBody
from crypto_agent.key_store import account_keys
from crypto_agent.purposes import Purpose

#: As long as a slow line may take for a large account.
LIFETIME = timedelta(hours=12)
_MOMENT_BYTES = 8


def begin(did: str, now: datetime, random: Random) -> bytes:
    """A permit for one export. Changes nothing. Raises NoSuchAccount, AccountLocked."""
    _, keys = account_keys(did)
    end = int((now + LIFETIME).timestamp()).to_bytes(_MOMENT_BYTES, "big")
    return wrap_export_key(keys, Purpose.READABLE_EXPORT, end, random)


def read(did: str, permit: bytes, items: Sequence[SealedContent], now: datetime) -> list[ReadMessage]:
    """As ``reading.read``. Raises NoExportBegun, NoSuchAccount, AccountLocked."""
    _check(did, permit, now)
    return reading.read(did, items)


def decrypt_file(
    did: str, permit: bytes, message: SealedContent, part: int, body: FramedBody, now: datetime
) -> FramedAnswer:
    """As ``files.decrypt_file``. Raises NoExportBegun, and what that raises."""
    _check(did, permit, now)
    return files.decrypt_file(did, message, part, body)


def _check(did: str, permit: bytes, now: datetime) -> None:
    _, keys = account_keys(did)
    try:
        end = int.from_bytes(unwrap_export_key(keys, Purpose.READABLE_EXPORT, permit), "big")
    except CannotUnseal:
        raise NoExportBegun("there is no such export") from None
    if now.timestamp() >= end:
        raise NoExportBegun("the export took too long")
