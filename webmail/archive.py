"""The archive: every opened or sent message, sealed again so that it outlives the prekeys."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import DateTimeField, QuerySet, Value
from django.db.models.functions import NullIf
from django.utils import timezone

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentRefused, ArchiveItem
from webmail.mailbox import ARCHIVE, Mailbox, open_mailbox
from webmail.mailbox.copies import keep_newest, keep_one_of_each
from webmail.mailbox.envelope_mail import archive_message_id, mail_with_archive
from webmail.models import Message

log = logging.getLogger(__name__)

#: Keeps one call to the agent, and what is in memory, small.
BATCH = 100
#: How long a mail server may still be storing what a worker handed it that died since.
LATE = timedelta(seconds=30)


def archive(messages: Sequence[Message], *, now: datetime) -> None:
    """Put messages of one account into its archive folder; durable on return.

    Messages that are there already are left as they are, so this may run twice. Raises
    crypto_agent.client.AgentUnavailable or webmail.mailbox.MailboxError; `archived_at` then stays unset,
    as it does for a message that the agent refuses, which is logged.
    """
    if messages:
        with open_mailbox(messages[0].account.did) as mailbox:
            archive_in(mailbox, messages, now=now)


def archive_in(mailbox: Mailbox, messages: Sequence[Message], *, now: datetime) -> None:
    """The same in a mailbox that is open already."""
    waiting = [m for m in messages if m.archived_at is None and m.forgotten_at is None]
    for start in range(0, len(waiting), BATCH):
        batch = waiting[start : start + BATCH]
        _archive_batch(batch[0].account, mailbox, batch, now)


def archive_waiting(account: Account, *, now: datetime) -> None:
    """Archive what was left out because a worker died or the mailbox was away, and have one copy alone of
    what several were at. Raises as `archive`."""
    look_again(account, now=now)
    rows = Message.objects.filter(account=account, archived_at=None, forgotten_at=None)
    rows = rows.exclude(state=Message.State.COMPOSED)
    archive(list(rows.select_related("account", "conversation").order_by("placed_at", "pk")[:500]), now=now)


def look_again(account: Account, *, now: datetime) -> None:
    """Have one copy of what several workers were at, and none of what was let go of. Raises MailboxError."""
    rows = _to_look_at(now).filter(account=account)
    late = list(rows.order_by("archiving_since").only("message_id", "erased_at")[:500])
    if not late:
        return
    with open_mailbox(account.did) as mailbox:
        uids = keep_newest(mailbox, ARCHIVE, [archive_message_id(message.message_id) for message in late])
        erased = [archive_message_id(message.message_id) for message in late if message.erased_at]
        if gone := [uids[name] for name in erased if name in uids]:
            mailbox.expunge(ARCHIVE, gone)
    rows.filter(pk__in=[message.pk for message in late]).update(archiving_since=None)


def due(now: datetime, *, older_than: timedelta) -> list[int]:
    """Keys of the accounts with messages that wait for the archive, those younger than that left out, or of
    which a second copy may have come."""
    waiting = Message.objects.filter(archived_at=None, forgotten_at=None, placed_at__lt=now - older_than)
    of_each = (
        rows.values_list("account_id", flat=True).distinct().order_by()
        for rows in (waiting.exclude(state=Message.State.COMPOSED), _to_look_at(now))
    )
    return sorted({key for keys in of_each for key in keys})


def _archive_batch(account: Account, mailbox: Mailbox, messages: Sequence[Message], now: datetime) -> None:
    try:
        blobs = agent().archive(account.did, [_item(message) for message in messages])
    except AgentRefused as error:
        if len(messages) == 1:
            log.error("message %s can't be archived: %s", messages[0].pk, error.code)
            return
        # One that is refused must not keep the others out.
        for message in messages:
            _archive_batch(account, mailbox, [message], now)
        return
    rows = Message.objects.filter(pk__in=[message.pk for message in messages])
    mine = _begin(rows, len(messages))
    _keep(mailbox, list(zip(messages, blobs, strict=True)))
    for message in messages:
        message.archived_at = now
    rows.update(archived_at=now, archiving_since=NullIf("archiving_since", Value(mine, DateTimeField())))


def _begin(rows: QuerySet[Message], count: int) -> datetime | None:
    """Notes that a worker is at these; what is to be taken back at the end, which is nothing where another
    one is at some of them, or was when it died: both may have stored a copy."""
    since = timezone.now()
    if rows.filter(archiving_since=None).update(archiving_since=since) == count:
        return since
    rows.update(archiving_since=since)
    return None


def _to_look_at(now: datetime) -> QuerySet[Message]:
    return Message.objects.filter(archiving_since__lt=now - LATE, archived_at__isnull=False)


def _keep(mailbox: Mailbox, archived: Sequence[tuple[Message, bytes]]) -> None:
    named = [(archive_message_id(message.message_id), message, blob) for message, blob in archived]
    keep_one_of_each(
        mailbox,
        ARCHIVE,
        {name: mail_with_archive(blob, message.message_id) for name, message, blob in named},
        # A checked signature replaces the copy that was stored before the check.
        anew={name for name, message, _blob in named if message.trust == Message.Trust.SIGNED},
    )


def _item(message: Message) -> ArchiveItem:
    checked = message.trust in (Message.Trust.SIGNED, Message.Trust.OWN)
    return ArchiveItem(
        conversation_id=message.conversation.conversation_id,
        message_id=message.message_id,
        sealed=bytes(message.sealed),
        received_at=message.placed_at,
        verified_at=(message.trust_checked_at or message.placed_at) if checked else None,
        direction="out" if message.direction == Message.Direction.OUT else "in",
        envelope_id=None,
    )
