"""What the parts of an account's export become here: archived mails, waiting envelopes, unsent messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import SealedContent
from webmail import export_file, message_state, rebuild, receipts, topics
from webmail.exported_values import participants_in, seconds_in, topic_in
from webmail.mailbox import ARCHIVE, INBOX, QUARANTINE, open_mailbox
from webmail.mailbox.copies import keep_one_of_each
from webmail.mailbox.envelope_mail import (
    archive_in_mail,
    archive_message_id,
    envelope_in_mail,
    envelope_message_id,
    mail_with_archive,
    mail_with_envelope,
)
from webmail.message_state import State
from webmail.models import AccountImport, Arrival, Message
from webmail.placing import conversation_for, place


def take_in(row: AccountImport, folder: str, contents: Sequence[bytes], states: Mapping[str, State]) -> int:
    """Takes in parts of one ``folder``, with the states of their messages; how many could not be read.

    May run twice. Raises AgentError, MailboxError, and errors of many kinds for what no export has.
    """
    if folder == export_file.PENDING:
        return _take_pending(row.account, contents)
    if folder == export_file.UNSENT:
        return _take_unsent(row, contents, states)
    return _take_archived(row.account, contents, states)


def _take_archived(account: Account, mails: Sequence[bytes], states: Mapping[str, State]) -> int:
    blobs = [blob for mail in mails if (blob := archive_in_mail(mail)) is not None]
    read = [
        (blob, archived, archived.message)
        for blob, archived in zip(blobs, agent().read_archive(account.did, blobs), strict=True)
        if archived.message is not None
    ]
    with open_mailbox(account.did) as mailbox:
        copies = {
            archive_message_id(message.message_id): mail_with_archive(blob, message.message_id)
            for blob, _archived, message in read
        }
        keep_one_of_each(mailbox, ARCHIVE, copies)
    now = timezone.now()
    with transaction.atomic():
        of_each = [states.get(message.message_id, {}) for _blob, _archived, message in read]
        rows = rebuild.store_archived(
            account,
            [
                (archived, "unread" if state.get("unread") is True else "read")
                for (_blob, archived, _message), state in zip(read, of_each, strict=True)
            ],
        )
        for (stored, created), state in zip(rows, of_each, strict=True):
            if created:
                message_state.restore_deliveries(stored, state, now)
                Message.objects.filter(pk=stored.pk).update(saved_at=message_state.saved_at(state))
        place([stored for stored, created in rows if created])
        receipts.apply(
            [
                receipts.Said(stored, message.receipt)
                for (stored, _created), (_blob, _archived, message) in zip(rows, read, strict=True)
                if message.receipt is not None
            ]
        )
    return len(mails) - len(read)


def _take_pending(account: Account, mails: Sequence[bytes]) -> int:
    """Envelopes go where they would have arrived, unless they did before."""
    found = [envelope for mail in mails if (envelope := envelope_in_mail(mail)) is not None]
    known = set(
        Arrival.objects.filter(
            account=account, envelope_id__in=[envelope.envelope_id for envelope in found]
        ).values_list("envelope_id", flat=True)
    )
    with open_mailbox(account.did) as mailbox:
        new = {
            envelope_message_id(envelope.envelope_id): mail_with_envelope(envelope.data)
            for envelope in found
            if envelope.envelope_id not in known
        }
        set_aside = mailbox.find_all(QUARANTINE, new)
        keep_one_of_each(mailbox, INBOX, {name: mail for name, mail in new.items() if name not in set_aside})
    return len(mails) - len(found)


def _take_unsent(row: AccountImport, sealed: Sequence[bytes], states: Mapping[str, State]) -> int:
    """Messages that were not in the archive are sealed and sent from here; others know them by their id."""
    account = row.account
    contents = agent().open_unsent(account.did, bytes(row.import_key), sealed)
    now = timezone.now()
    with transaction.atomic():
        for content in contents:
            _store_unsent(account, content, states[content.message_id], now)
    return 0


def _store_unsent(account: Account, content: SealedContent, state: State, now: datetime) -> None:
    placed_at, expires_at = message_state.time_value(state["placedAt"]), state.get("expiresAt")
    participants = participants_in(state["participants"])
    # What goes out by itself accepts nobody, and takes no place.
    writer = account.did if state.get("shown") is not False else None
    conversation = conversation_for(
        account, content.conversation_id, participants, placed_at, written_by=writer
    )
    message, created = Message.objects.get_or_create(
        account=account,
        message_id=content.message_id,
        defaults={
            "conversation": conversation,
            "direction": Message.Direction.OUT,
            "state": Message.State.COMPOSED,
            "sender_did": account.did,
            "trust": Message.Trust.OWN,
            "created_at": message_state.time_value(state["createdAt"]),
            "placed_at": placed_at,
            "in_reply_to": str(state["inReplyTo"])[:64],
            "replaces": str(state.get("replaces", ""))[:64],
            "takes_back": state.get("takesBack") is True,
            "topic": topic_in(state.get("topic") or "") or None,
            "shown": state.get("shown") is not False,
            "changes_group": Message.GroupChange(state.get("changesGroup", "")),
            "expires_after": seconds_in(state.get("expiresAfter", 0)),
            "expires_at": message_state.time_value(expires_at) if expires_at else None,
            "sealed": content.sealed,
        },
    )
    if created:
        message_state.restore_deliveries(message, state, now)
        place([message])
        if message.shown:
            topics.begin([message])
