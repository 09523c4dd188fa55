"""What a page says after a message was passed on to several: to whom, and whether it may still be taken back.

The address of that page carries it, signed, so that no link makes it say anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core import signing

from accounts.models import Account
from webmail.keeping_back import MARGIN
from webmail.models import Message, PendingMessage
from webmail.titled_conversations import Titled, titled_of

#: A page that is loaded again later says nothing of it.
LASTS = timedelta(minutes=10)
_SALT = "webmail.forwarded"


@dataclass(frozen=True)
class Mark:
    """`conversations` are ids (hex); `held` are the keys of what was held to be taken back, by these."""

    message_id: str
    conversations: list[str]
    held: dict[str, int]


@dataclass(frozen=True)
class ForwardedNotice:
    """`signed` is the mark, as forms hand it in; `undo` says whether any of it may still be taken back."""

    message_id: str
    to: list[Titled]
    signed: str
    undo: bool


def signed_mark(account: Account, message_id: str, became: Iterable[Message | PendingMessage]) -> str:
    """The mark of what became of a message that was passed on to several."""
    rows = [
        (row.conversation.conversation_id, row.pk if isinstance(row, PendingMessage) else 0) for row in became
    ]
    return _signed(account, message_id, rows)


def mark_in(account: Account, signed: str) -> Mark | None:
    """The mark that an address or a form has; None where it is none of the account's, or too old."""
    try:
        of_account, message_id, rows = signing.loads(signed, salt=_SALT, max_age=LASTS)
    except signing.BadSignature:
        return None
    if of_account != account.pk:
        return None
    return Mark(message_id, [each for each, _pk in rows], {each: pk for each, pk in rows if pk})


def without(account: Account, mark: Mark, taken_back: Collection[str]) -> str:
    """The mark without these conversations: those where it was too late, nothing of which is held."""
    return _signed(
        account, mark.message_id, [(each, 0) for each in mark.conversations if each not in taken_back]
    )


def notice(account: Account, signed: str, *, now: datetime) -> ForwardedNotice | None:
    """What a page says; None where there is nothing to be said. Raises crypto_agent.client.AgentLocked if it
    was not known before that the keys are locked."""
    mark = mark_in(account, signed) if signed else None
    if mark is None:
        return None
    return ForwardedNotice(
        mark.message_id,
        titled_of(account, mark.conversations),
        signed,
        undo=_waits(account, list(mark.held.values()), now),
    )


def _signed(account: Account, message_id: str, rows: Sequence[tuple[str, int]]) -> str:
    return signing.dumps([account.pk, message_id, rows], salt=_SALT, compress=True)


def _waits(account: Account, pks: Sequence[int], now: datetime) -> bool:
    waiting = PendingMessage.objects.filter(account=account, pk__in=pks, release_at__gt=now + MARGIN)
    return bool(pks) and waiting.exists()
