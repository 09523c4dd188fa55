"""The archive: every opened or sent message, sealed again so that it outlives the prekeys."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentRefused, ArchiveItem
from webmail.mailbox import ARCHIVE, Mailbox, open_mailbox
from webmail.mailbox.copies import keep_one_of_each
from webmail.mailbox.envelope_mail import archive_message_id, mail_with_archive
from webmail.models import Message

log = logging.getLogger(__name__)

#: Keeps one call to the agent, and what is in memory, small.
BATCH = 100


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
    """Archive what was left out because a worker died or the mailbox was away. Raises as `archive`."""
    rows = Message.objects.filter(account=account, archived_at=None, forgotten_at=None)
    rows = rows.exclude(state=Message.State.COMPOSED)
    archive(list(rows.select_related("account", "conversation").order_by("placed_at", "pk")[:500]), now=now)


def due(now: datetime, *, older_than: timedelta) -> list[int]:
    """Keys of the accounts with messages that wait for the archive, those younger than that left out."""
    rows = Message.objects.filter(archived_at=None, forgotten_at=None, placed_at__lt=now - older_than)
    return list(
        rows.exclude(state=Message.State.COMPOSED).values_list("account_id", flat=True).distinct().order_by()
    )


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
    _keep(mailbox, list(zip(messages, blobs, strict=True)))
    for message in messages:
        message.archived_at = now
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(archived_at=now)


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
