"""When messages disappear: after a time from reading them, or at a time (protocol §5, `expires`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from crypto_agent.client import Expires
from webmail.models import Conversation, Message

#: What may be chosen for a conversation, in seconds; 0 is never.
CHOICES = (0, 3600, 86_400, 604_800, 2_419_200)


def seconds_of(expires: Expires | None) -> int:
    """Seconds after reading; 0 for a message that stays, or names a time."""
    return expires.time if expires is not None and expires.relative else 0


def end_of(expires: Expires | None, read_at: datetime | None) -> datetime | None:
    """When a message disappears; None where it does not, or was not read yet."""
    if expires is None or (expires.relative and read_at is None):
        return None
    try:
        if expires.relative:
            assert read_at is not None
            return read_at + timedelta(seconds=expires.time)
        return datetime.fromtimestamp(expires.time, UTC)
    except (OverflowError, ValueError, OSError):
        # After the year 9999.
        return None


def begin(received: QuerySet[Message], now: datetime) -> None:
    """Of received messages, what counts as read from now on begins to disappear. Call before its marks as
    unread, or as set aside, are taken away."""
    rows = received.filter(direction=Message.Direction.IN, expires_after__gt=0, expires_at=None)
    begun = list(rows.only("pk", "expires_after"))
    for message in begun:
        message.expires_at = end_of(Expires(True, message.expires_after), now)
    if begun:
        Message.objects.bulk_update(begun, ["expires_at"], batch_size=500)


def begin_sent(message: Message, now: datetime) -> None:
    """A message that a server of somebody else has from now on begins to disappear for its sender."""
    if message.expires_after and message.expires_at is None:
        end = end_of(Expires(True, message.expires_after), now)
        Message.objects.filter(pk=message.pk, expires_at=None).update(expires_at=end)


def chosen(conversation: Conversation | None) -> Expires | None:
    """What the account's messages of this conversation ask for; None where there is none yet."""
    if conversation is None or not conversation.expires_after:
        return None
    return Expires(True, conversation.expires_after)
