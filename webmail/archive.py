"""The archive: every opened or sent message, sealed again so that it outlives the prekeys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import ArchiveItem
from webmail.mailbox import ARCHIVE, Mailbox, open_mailbox
from webmail.mailbox.envelope_mail import archive_message_id, mail_with_archive
from webmail.models import Message

#: Keeps one call to the agent, and what is in memory, small.
BATCH = 50


def archive(messages: Sequence[Message], *, now: datetime) -> None:
    """Put messages of one account into its archive folder; durable on return.

    Messages that are there already are left as they are, so this may run twice. Raises
    crypto_agent.client.AgentError or webmail.mailbox.MailboxError; `archived_at` then stays unset.
    """
    waiting = [message for message in messages if message.archived_at is None]
    if not waiting:
        return
    account = waiting[0].account
    with open_mailbox(account.did) as mailbox:
        for start in range(0, len(waiting), BATCH):
            _archive_batch(account, mailbox, waiting[start : start + BATCH], now)


def _archive_batch(account: Account, mailbox: Mailbox, messages: Sequence[Message], now: datetime) -> None:
    blobs = agent().archive(account.did, [_item(message) for message in messages])
    for message, blob in zip(messages, blobs, strict=True):
        earlier = mailbox.find(ARCHIVE, archive_message_id(message.message_id))
        if not earlier or message.trust == Message.Trust.SIGNED:
            # A checked signature replaces the copy that was stored before the check.
            mailbox.append(ARCHIVE, mail_with_archive(blob, message.message_id))
            mailbox.expunge(ARCHIVE, earlier)
        message.archived_at = now
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(archived_at=now)


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
