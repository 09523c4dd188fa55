"""Restoring the index from the mailbox: every conversation from the archive, then what is new."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from django.db import transaction
from django.utils import timezone

from accounts import enrolment, identities
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import ArchivedMessage
from webmail import intake, messages
from webmail.conversations import recount
from webmail.mailbox import ARCHIVE, QUARANTINE, Mailbox, Stored, open_mailbox
from webmail.mailbox.envelope_mail import archive_in_mail, envelope_in_mail
from webmail.models import Arrival, Message

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
        for start in range(0, len(uids), BATCH):
            stored = mailbox.fetch(ARCHIVE, uids[start : start + BATCH])
            _restore(account, list(stored.values()))
            progress(min(start + BATCH, len(uids)), len(uids))
        _restore_kept_aside(account, mailbox)
    recount(account)
    intake.pull(account)
    return len(uids)


def _enrol_again(account: Account) -> None:
    """An account whose device the agent still has is one that receives here, whether or not it signs in."""
    if account.enrolled_at is None and account.devices.filter(revoked_at=None).exists():
        account.enrolled_at = timezone.now()
        account.save(update_fields=["enrolled_at"])


def _restore(account: Account, mails: Sequence[Stored]) -> None:
    blobs = [blob for mail in mails if (blob := archive_in_mail(mail.raw)) is not None]
    if len(blobs) < len(mails):
        log.warning("%d mails in an archive folder are not archived messages", len(mails) - len(blobs))
    for archived in agent().read_archive(account.did, blobs):
        if archived.message is None:
            log.warning("an archived message could not be read: %s", archived.error)
            continue
        with transaction.atomic():
            _store(account, archived)


def _store(account: Account, archived: ArchivedMessage) -> None:
    message = archived.message
    assert message is not None
    placed_at = archived.received_at or message.created_at
    if archived.verified_at is None:
        trust, code, next_check = Message.Trust.UNCHECKED, "signer-unreachable", timezone.now()
    else:
        own = message.sender_did == account.did
        trust, code, next_check = (Message.Trust.OWN if own else Message.Trust.SIGNED), "", None
    messages.store(
        account,
        message,
        placed_at=placed_at,
        trust=trust,
        trust_code=code,
        checked_at=archived.verified_at,
        next_check_at=next_check,
        counted="read",
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
