"""Restoring the index from the mailbox: every conversation from the archive, then what is new."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from django.db import transaction
from django.utils import timezone

from accounts import enrolment, identities
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentLimited, ArchivedMessage
from webmail import intake, messages, receipts, search_index
from webmail.mailbox import ARCHIVE, QUARANTINE, Mailbox, Stored, open_mailbox
from webmail.mailbox.envelope_mail import archive_in_mail, envelope_in_mail
from webmail.models import Arrival, Message
from webmail.recounting import recount

log = logging.getLogger(__name__)

BATCH = 100


def accounts(dids: Sequence[str]) -> list[Account]:
    """The accounts to restore: those named, made from their DID documents where the database has none;
    all that it has if none is named. Raises accounts.identities.IdentityError."""
    if not dids:
        return list(Account.objects.all())
    return [Account.objects.filter(did=did).first() or _account_of(did) for did in dids]


def _account_of(did: str) -> Account:
    identity = identities.resolve(did)
    return Account.objects.create(did=did, handle=identity.handle, pds_url=identity.pds_url)


def rebuild(account: Account, *, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Restore one account's messages from its mailbox and return how many the archive holds.

    What the index has already is left alone, so this may run at any time and twice. Messages restored
    count as read. Raises MailboxError or AgentError; what was restored so far stays.
    """
    enrolment.restore_devices(account)
    _enrol_again(account)
    with open_mailbox(account.did) as mailbox:
        uids = mailbox.uids_after(ARCHIVE, 0)
        unplaced: list[receipts.Said] = []
        for start in range(0, len(uids), BATCH):
            stored = mailbox.fetch(ARCHIVE, uids[start : start + BATCH])
            unplaced += _restore(account, list(stored.values()))
            progress(min(start + BATCH, len(uids)), len(uids))
        # Those that lie in the archive before what they name.
        receipts.apply(unplaced)
        _restore_kept_aside(account, mailbox)
    recount(account)
    search_index.begin_again(account)
    intake.pull(account)
    return len(uids)


def _enrol_again(account: Account) -> None:
    """An account whose device the agent still has is one that receives here, whether or not it signs in."""
    unknown = account.enrolled_at is None and account.closing_since is None
    if unknown and account.devices.filter(revoked_at=None).exists():
        account.enrolled_at = account.welcomed_at = timezone.now()
        account.save(update_fields=["enrolled_at", "welcomed_at"])


def _restore(account: Account, mails: Sequence[Stored]) -> list[receipts.Said]:
    """Store archived messages; returns the receipts of which not everything they name is there yet."""
    blobs = [blob for mail in mails if (blob := archive_in_mail(mail.raw)) is not None]
    if len(blobs) < len(mails):
        log.warning("%d mails in an archive folder are not archived messages", len(mails) - len(blobs))
    readable: list[ArchivedMessage] = []
    for archived in _read_archive(account, blobs):
        if archived.message is None:
            log.warning("an archived message could not be read: %s", archived.error)
        else:
            readable.append(archived)
    with transaction.atomic():
        rows = store_archived(account, [(archived, "read") for archived in readable])
        said = [
            receipts.Said(row, archived.message.receipt)
            for (row, _created), archived in zip(rows, readable, strict=True)
            if archived.message and archived.message.receipt and row.direction == Message.Direction.IN
        ]
        found = receipts.apply(said)
    named = [len(set(one.receipt.ids)) for one in said]
    return [one for one, here, all_ids in zip(said, found, named, strict=True) if here < all_ids]


def _read_archive(account: Account, blobs: Sequence[bytes]) -> list[ArchivedMessage]:
    """Waits while the agent's limit for an hour is reached, since another run would begin from the start."""
    while True:
        try:
            return agent().read_archive(account.did, blobs)
        except AgentLimited as error:
            log.warning("the agent opens no more of the archive for %d s", error.retry_after_s)
            time.sleep(error.retry_after_s)


def store_archived(
    account: Account, archived: Sequence[tuple[ArchivedMessage, messages.Counted]]
) -> list[tuple[Message, bool]]:
    """The rows of readable messages from the archive, in their order, and whether each is new. Call within a
    transaction."""
    return messages.store(account, [_opened(account, one, counted) for one, counted in archived])


def _opened(account: Account, archived: ArchivedMessage, counted: messages.Counted) -> messages.Opened:
    message = archived.message
    assert message is not None
    placed_at = archived.received_at or message.created_at
    if archived.verified_at is None:
        trust, code, next_check = Message.Trust.UNCHECKED, "signer-unreachable", timezone.now()
    else:
        own = message.sender_did == account.did
        trust, code, next_check = (Message.Trust.OWN if own else Message.Trust.SIGNED), "", None
    return messages.Opened(
        message,
        placed_at=placed_at,
        trust=trust,
        trust_code=code,
        checked_at=archived.verified_at,
        next_check_at=next_check,
        counted=counted,
        archived_at=placed_at,
    )


def _restore_kept_aside(account: Account, mailbox: Mailbox) -> None:
    validity = mailbox.uidvalidity(QUARANTINE)
    uids = mailbox.uids_after(QUARANTINE, 0)
    for start in range(0, len(uids), BATCH):
        for mail in mailbox.fetch(QUARANTINE, uids[start : start + BATCH]).values():
            found = envelope_in_mail(mail.raw)
            if found is None:
                continue
            Arrival.objects.get_or_create(
                account=account,
                envelope_id=found.envelope_id,
                defaults={
                    "state": Arrival.State.WAITING,
                    "folder": QUARANTINE,
                    "uid_validity": validity,
                    "uid": mail.uid,
                    "size": mail.size,
                    "arrived_at": mail.received_at,
                },
            )
