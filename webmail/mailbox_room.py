"""How full a mailbox is: its server is asked at a look into it; pages and senders hear what it said last."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from enum import StrEnum

from accounts.models import Account
from webmail import events
from webmail.mailbox import Mailbox, MailboxError, Room, open_mailbox
from webmail.models import MailboxCursor

log = logging.getLogger(__name__)

#: The event that open pages hear of.
EVENT = "room"
#: With less room than the largest message needs, what arrives is refused.
LEAST_OCTETS = 256 * 1024
#: From this part of what it may hold on, a mailbox is nearly full.
NEARLY = 0.9
#: How old the server's answer may be; where there is little room, its owner may be making some.
ASKED_EVERY = timedelta(minutes=10)
ASKED_EVERY_WHEN_FULL = timedelta(seconds=30)


class Fullness(StrEnum):
    """What the owner of a mailbox should know of the room in it."""

    ENOUGH = "enough"
    NEARLY_FULL = "nearly-full"
    FULL = "full"


def fullness(room: Room | None) -> Fullness:
    """How full a mailbox is; one that nobody limits has enough room."""
    if room is None:
        return Fullness.ENOUGH
    if room.held + LEAST_OCTETS > room.most:
        return Fullness.FULL
    return Fullness.NEARLY_FULL if room.held >= NEARLY * room.most else Fullness.ENOUGH


def look(account: Account, mailbox: Mailbox, *, now: datetime) -> None:
    """Asks the server of the account's open mailbox, unless that was done lately; open pages hear of a
    change. Where it cannot say, what it said last stays: mail is taken in all the same."""
    cursor, _created = MailboxCursor.objects.get_or_create(account=account)
    said = room_of(cursor)
    old = ASKED_EVERY if fullness(said) == Fullness.ENOUGH else ASKED_EVERY_WHEN_FULL
    if cursor.room_asked_at is not None and now - cursor.room_asked_at < old:
        return
    room = _asked(account, mailbox, said)
    cursor.held_octets, cursor.most_octets = (room.held, room.most) if room else (None, None)
    cursor.room_asked_at = now
    cursor.save(update_fields=["held_octets", "most_octets", "room_asked_at"])
    if fullness(said) != fullness(room):
        events.publish(account.pk, EVENT)


def is_full(account: Account, *, now: datetime) -> bool:
    """Whether the server said last that the account's mailbox is full. If that is a while ago it is asked, by
    whoever brings something: nobody else may look, and there may be room again."""
    cursor = MailboxCursor.objects.filter(account=account).first()
    if cursor is None or fullness(room_of(cursor)) != Fullness.FULL:
        return False
    if cursor.room_asked_at is None or now - cursor.room_asked_at >= ASKED_EVERY_WHEN_FULL:
        try:
            with open_mailbox(account.did) as mailbox:
                look(account, mailbox, now=now)
        except MailboxError as error:
            log.warning("the mailbox of account %s, which was full, is away: %s", account.pk, error.code)
        cursor.refresh_from_db(fields=["held_octets", "most_octets"])
    return fullness(room_of(cursor)) == Fullness.FULL


def _asked(account: Account, mailbox: Mailbox, said: Room | None) -> Room | None:
    try:
        return mailbox.room()
    except MailboxError as error:
        log.warning("the room of account %s is not known: %s", account.pk, error.code)
        return said if error.code == "unavailable" else None


def ask_anew(account: Account) -> None:
    """Has the next look into the mailbox ask its server, since it refused something."""
    MailboxCursor.objects.filter(account=account, room_asked_at__isnull=False).update(room_asked_at=None)


def room_of(cursor: MailboxCursor) -> Room | None:
    """What the server said last."""
    if cursor.held_octets is None or cursor.most_octets is None:
        return None
    return Room(cursor.held_octets, cursor.most_octets)
