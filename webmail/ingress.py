"""The one door for what arrives: an envelope or an ordinary mail for a DID, into that DID's mailbox.

Both carriers come through here, so what is stored is the same octets whichever brought it. Nothing is
known or asked of the sender, and every sender gets the same answers.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from accounts.models import Account
from webmail import delivery_reports, mailbox_room, queues
from webmail.carriers.bounces import report_in_mail, unread_report
from webmail.ingress_quota import Quota, QuotaExceeded, redis_quota
from webmail.mailbox import INBOX, MailboxError, open_mailbox
from webmail.mailbox.envelope_mail import (
    EnvelopeError,
    envelope_message_id,
    mail_with_envelope,
    read_envelope,
)
from webmail.mailbox.names import mailbox_name
from webmail.ordinary import carrying

log = logging.getLogger(__name__)

#: The largest ordinary mail that is stored, in octets.
MAX_MAIL = 10 * 1024 * 1024
#: When a sender may ask again of a mailbox that was full: nobody makes room within minutes.
FULL_SECONDS = 3600


class IngressRefusal(Exception):
    """Something that is not taken in. `code` is one of unknown-recipient, too-large, not-an-envelope,
    over-quota, mailbox-full and mailbox-unavailable; `retry_after` is in seconds, where there is a time to
    name."""

    def __init__(self, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True)
class Accepted:
    """Durably stored. `duplicate` says that it had been stored before and was not stored again."""

    envelope_id: str
    duplicate: bool


def accept(did: str, envelope: bytes, *, now: datetime, quota: Quota | None = None) -> Accepted:
    """Store a decoded envelope in the mailbox of a DID, then start the pull.

    Two copies that arrive in the same instant may both be stored; they meet at the intake by envelope id.
    Raises IngressRefusal; then nothing was stored.
    """
    try:
        read = read_envelope(envelope)
    except EnvelopeError as error:
        raise IngressRefusal(error.code, str(error)) from error
    account = _account(did)
    _take_quota(quota or redis_quota(), did, len(envelope), now)
    try:
        with open_mailbox(did) as mailbox:
            duplicate = bool(mailbox.find(INBOX, envelope_message_id(read.envelope_id)))
            if not duplicate:
                mailbox.append(INBOX, mail_with_envelope(envelope))
    except MailboxError as error:
        raise _refusal(account, error) from error
    _start_pull(account)
    return Accepted(read.envelope_id, duplicate)


def accept_mail(did: str, raw: bytes, *, now: datetime, quota: Quota | None = None) -> None:
    """Store ordinary mail as it came (CRLF line ends) in the mailbox of a DID, then start the pull.

    Raises IngressRefusal; then nothing was stored.
    """
    if len(raw) > MAX_MAIL:
        raise IngressRefusal("too-large", f"a mail has at most {MAX_MAIL} octets")
    account = _account(did)
    _take_quota(quota or redis_quota(), did, len(raw), now)
    try:
        with open_mailbox(did) as mailbox:
            mailbox.append(INBOX, raw)
    except MailboxError as error:
        raise _refusal(account, error) from error
    _start_pull(account)


def accept_report(token: str, raw: bytes, *, now: datetime) -> None:
    """Note what a delivery report says of a delivery of this installation's own (see carriers/bounces.py).

    What answers an answer to ordinary mail and is no report goes to whoever wrote that; then it may raise
    IngressRefusal.
    """
    if carrying.is_token(token):
        writer = carrying.take_report(token, raw, now=now)
        if writer is not None:
            accept_mail(writer, raw, now=now)
        return
    report = report_in_mail(raw, recipient=delivery_reports.recipient_of(token))
    if report is not None:
        delivery_reports.note_report(token, report.outcome, envelope_ids=report.envelope_ids, now=now)
        return
    unread = unread_report(raw)
    if unread is not None:
        delivery_reports.note_unread(token, unread)


def has_mailbox(did: str) -> bool:
    """Whether this DID receives here."""
    return _find_account(did) is not None


def check_recipient(did: str, *, now: datetime) -> None:
    """Whether something may come for a DID, by what is known before it does.

    Raises IngressRefusal "unknown-recipient" or "mailbox-full".
    """
    if mailbox_room.is_full(_account(did), now=now):
        raise _full()


def _find_account(did: str) -> Account | None:
    try:
        mailbox_name(did)
    except MailboxError:
        return None
    # What came for one that is being closed would be sealed to keys that are gone.
    return Account.objects.filter(did=did, closing_since=None).first()


def _account(did: str) -> Account:
    account = _find_account(did)
    if account is None:
        raise IngressRefusal("unknown-recipient", "there is no such mailbox here")
    return account


def _take_quota(quota: Quota, did: str, size: int, now: datetime) -> None:
    try:
        quota.take(did, size, now=now)
    except QuotaExceeded as error:
        raise IngressRefusal(
            "over-quota", "this mailbox takes no more for the moment", retry_after=error.retry_after
        ) from error


def _refusal(account: Account, error: MailboxError) -> IngressRefusal:
    if error.code == "full":
        mailbox_room.ask_anew(account)
        _start_pull(account)
        log.warning("a mailbox is full: its senders are asked to come back")
        return _full()
    log.error("the mailbox could not store what arrived: %s", error)
    return IngressRefusal("mailbox-unavailable", "the mailbox can't be reached at the moment", retry_after=60)


def _full() -> IngressRefusal:
    return IngressRefusal("mailbox-full", "this mailbox is full at the moment", retry_after=FULL_SECONDS)


def _start_pull(account: Account) -> None:
    """Ask a worker to fetch what was stored. It is safe where it is: if the broker is away, the regular
    pull finds it, so no answer may fail for this."""
    try:
        queues.give(queues.PULL, account.pk)
    except Exception as error:
        log.error("the pull could not be started: %s", type(error).__name__)
