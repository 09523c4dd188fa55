"""What an account noted of its ordinary mail: read, spam, deleted. The mail's flags in the mailbox say it, so
that other mail programs and a restored index know it too; the index repeats it, for counts and lists.

A deleted mail stays where it is, marked so, until it is removed (removing.py) or another program removes it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet
from django.utils import timezone

from accounts.models import Account
from accounts.prepared_rows import PreparedValues
from webmail import events
from webmail.conversations import NotFound
from webmail.mailbox import (
    DELETED,
    INBOX,
    JUNK,
    NOT_JUNK,
    SEEN,
    Mailbox,
    MailboxError,
    Stored,
    open_mailbox,
)
from webmail.models import Arrival, BlockedAddress
from webmail.ordinary.parsing import senders

log = logging.getLogger(__name__)

REASON = "ordinary-mail"
#: The event that open pages hear of.
EVENT = "mail"
#: For how long a deleted mail can be put back.
KEPT = timedelta(days=30)
#: Of so many unread mails a pull looks whether they were read elsewhere.
MOST_FOLLOWED = 200


@dataclass(frozen=True)
class Marks:
    """What the flags of a mail say."""

    unread: bool
    spam: bool
    deleted: bool

    @classmethod
    def of(cls, flags: Collection[str]) -> Marks:
        return cls(SEEN not in flags, JUNK in flags, DELETED in flags)


def of_account(account: Account | int) -> QuerySet[Arrival]:
    """All of its ordinary mail."""
    return Arrival.objects.filter(account=account, state=Arrival.State.KEPT_ASIDE, reason=REASON)


def waiting(account: Account | int) -> QuerySet[Arrival]:
    """What nobody has read, and is worth a word."""
    return of_account(account).filter(unread=True, spam=False, deleted_at=None)


_COUNT = PreparedValues(
    lambda account: waiting(account).order_by().values("account").annotate(n=Count("pk")).values_list("n")
)


def count_waiting(account: Account) -> int:
    """How many there are of these."""
    found = _COUNT.rows(account.pk)
    return int(found[0][0]) if found else 0


def mark_read(account: Account, arrival_id: int, *, read: bool = True) -> None:
    """Note that it was read, or not. Raises NotFound, MailboxError."""
    if of_account(account).filter(pk=arrival_id, unread=not read).exists():
        return
    _mark(account, arrival_id, {SEEN}, on=read)


def mark_spam(account: Account, arrival_id: int, *, spam: bool = True) -> None:
    """Note that it is spam, or not. Raises NotFound, MailboxError."""
    _mark(account, arrival_id, {JUNK}, on=spam, instead={NOT_JUNK})


def delete(account: Account, arrival_id: int, *, back: bool = False) -> None:
    """Delete it, or put it back. Raises NotFound, MailboxError."""
    _mark(account, arrival_id, {DELETED}, on=not back)


def block_sender(account: Account, arrival_id: int, address: str) -> None:
    """This mail is spam, and so is what comes from the address later. Raises NotFound, MailboxError."""
    mark_spam(account, arrival_id)
    BlockedAddress.objects.get_or_create(account=account, address=address.lower())


def is_blocked(account: Account, address: str) -> bool:
    """Whether mail from an address is spam."""
    return bool(address) and account.blocked_addresses.filter(address=address.lower()).exists()


def unblock(account: Account, address: str) -> bool:
    """Whether it was blocked. What came meanwhile stays spam."""
    return bool(BlockedAddress.objects.filter(account=account, address=address.lower()).delete()[0])


def set_aside_blocked(account: Account, mailbox: Mailbox, mails: Sequence[Stored]) -> frozenset[int]:
    """Marks those of new ordinary mails as spam whose senders are blocked; the UIDs of all that are spam."""
    spam = {mail.uid for mail in mails if JUNK in mail.flags}
    blocked = frozenset(account.blocked_addresses.values_list("address", flat=True)) if mails else frozenset()
    theirs = [mail.uid for mail in mails if mail.uid not in spam and blocked & _senders(mail, blocked)]
    if theirs:
        try:
            mailbox.mark(INBOX, theirs, add={JUNK})
        except MailboxError as error:
            # A server may take no such mark: they are spam here all the same, and nothing waits for it.
            if error.code != "refused":
                raise
            log.warning("mail from blocked addresses could not be marked in a mailbox")
    return frozenset(spam.union(theirs))


def _senders(mail: Stored, blocked: Collection[str]) -> frozenset[str]:
    return senders(mail.raw) if blocked else frozenset()


def follow(account: Account, mailbox: Mailbox, validity: int) -> None:
    """Take over what other mail programs noted of what is unread here. Raises MailboxError."""
    rows = Arrival.objects.filter(account=account, unread=True, folder=INBOX, uid_validity=validity)
    unread = {row.uid: row for row in rows.order_by("-pk")[:MOST_FOLLOWED]}
    if not unread:
        return
    found = mailbox.flags(INBOX, list(unread))
    # What is not there any more, nobody can read.
    changed = [note_flags(row, found.get(uid, frozenset({SEEN}))) for uid, row in unread.items()]
    if any(changed):
        events.publish(account.pk, EVENT)


def _mark(
    account: Account, arrival_id: int, marks: Iterable[str], *, on: bool, instead: Iterable[str] = ()
) -> None:
    """First in the mailbox: what fails later is found there."""
    row = of_account(account).filter(pk=arrival_id).first()
    if row is None:
        raise NotFound(str(arrival_id))
    with open_mailbox(account.did) as mailbox:
        if mailbox.uidvalidity(row.folder) != row.uid_validity:
            raise NotFound(str(arrival_id))
        add, remove = (marks, instead) if on else (instead, marks)
        mailbox.mark(row.folder, [row.uid], add=add, remove=remove)
        flags = mailbox.flags(row.folder, [row.uid]).get(row.uid)
    if flags is None:
        raise NotFound(str(arrival_id))
    if note_flags(row, flags):
        events.publish(account.pk, EVENT)


def said_of(row: Arrival, flags: Collection[str]) -> dict[str, bool | datetime | None]:
    """What flags in the mailbox make of an ordinary mail's row, by its columns."""
    marks = Marks.of(flags)
    deleted_at = (row.deleted_at or timezone.now()) if marks.deleted else None
    return {"unread": marks.unread, "spam": marks.spam, "deleted_at": deleted_at}


def note_flags(row: Arrival, flags: Collection[str]) -> bool:
    """Repeat in the index what the mailbox says and the row does not; whether that was news.

    Somebody else may have marked it since the flags were read: what is as it was in the row stays to them.
    """
    news = {name: value for name, value in said_of(row, flags).items() if getattr(row, name) != value}
    return bool(news) and bool(Arrival.objects.filter(pk=row.pk).update(**news))
