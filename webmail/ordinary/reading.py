"""The ordinary mail of an account, as it lies in the mailbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from django.db.models import QuerySet

from accounts.models import Account
from webmail.conversations import NotFound
from webmail.mailbox import Mailbox, Stored, open_mailbox
from webmail.models import Arrival
from webmail.ordinary.marks import of_account
from webmail.ordinary.parsing import (
    Attached,
    MailSummary,
    OrdinaryMail,
    attachment,
    read_mail,
    read_summary,
)

#: Which of them a list has.
Shown = Literal["mail", "spam", "deleted"]
SHOWN: tuple[Shown, ...] = get_args(Shown)
#: Mails of one page of the list.
PAGE = 20


@dataclass(frozen=True)
class ListedMail:
    """One line of the list. `mail` is None where another program has moved or removed it."""

    id: int
    arrived_at: datetime
    unread: bool
    mail: MailSummary | None


@dataclass(frozen=True)
class ShownMail:
    """One mail. `cut` says that it is longer than what is read of a mail."""

    id: int
    arrived_at: datetime
    size: int
    cut: bool
    unread: bool
    spam: bool
    deleted: bool
    mail: OrdinaryMail


def listed(
    account: Account, shown: Shown = "mail", *, before: int | None = None
) -> tuple[list[ListedMail], int | None]:
    """A page of them, newest first, and what to pass as `before` for the next one. Raises MailboxError."""
    found = list(_page(account, shown, before))
    more, found = len(found) > PAGE, found[:PAGE]
    with open_mailbox(account.did) as mailbox:
        stored = _fetch(mailbox, found)
    mails = [
        ListedMail(
            row.pk,
            row.arrived_at,
            row.unread,
            read_summary(stored[row.pk].raw) if row.pk in stored else None,
        )
        for row in found
    ]
    return mails, found[-1].pk if more else None


def state(
    account: Account, shown: Shown = "mail", *, before: int | None = None
) -> list[tuple[int, bool, str, int, int]]:
    """What the page of the list that ``listed`` reads depends on, without asking the mailbox."""
    return list(_page(account, shown, before).values_list("pk", "unread", "folder", "uid_validity", "uid"))


def shown(account: Account, arrival_id: int) -> ShownMail:
    """One of them. Raises NotFound, MailboxError."""
    row, stored = _one(account, arrival_id)
    return ShownMail(
        id=row.pk,
        arrived_at=row.arrived_at,
        size=stored.size,
        cut=stored.truncated,
        unread=row.unread,
        spam=row.spam,
        deleted=row.deleted_at is not None,
        mail=read_mail(stored.raw),
    )


def attached(account: Account, arrival_id: int, number: int) -> tuple[Attached, bytes]:
    """A file of one of them. Raises NotFound (also for a mail that was cut), MailboxError."""
    _row, stored = _one(account, arrival_id)
    found = None if stored.truncated else attachment(stored.raw, number)
    if found is None:
        raise NotFound(str(number))
    return found


def keys(account: Account) -> list[int]:
    """Of all that are not deleted, the oldest first."""
    return list(of_account(account).filter(deleted_at=None).order_by("pk").values_list("pk", flat=True))


def whole(account: Account, arrival_id: int) -> Iterator[bytes]:
    """One of them as it came, in pieces, however large. Raises NotFound, MailboxError."""
    row = of_account(account).filter(pk=arrival_id).first()
    if row is None:
        raise NotFound(str(arrival_id))
    with open_mailbox(account.did) as mailbox:
        if mailbox.uidvalidity(row.folder) != row.uid_validity:
            raise NotFound(str(arrival_id))
        there = False
        for octets in mailbox.whole(row.folder, row.uid):
            there = True
            yield octets
    if not there:
        raise NotFound(str(arrival_id))


def _page(account: Account, shown: Shown, before: int | None) -> QuerySet[Arrival]:
    """With one more than the page has, where there is one."""
    rows = _shown(account, shown).order_by("-pk")
    return (rows if before is None else rows.filter(pk__lt=before))[: PAGE + 1]


def _shown(account: Account, shown: Shown) -> QuerySet[Arrival]:
    if shown == "deleted":
        return of_account(account).exclude(deleted_at=None)
    return of_account(account).filter(deleted_at=None, spam=shown == "spam")


def _one(account: Account, arrival_id: int) -> tuple[Arrival, Stored]:
    row = of_account(account).filter(pk=arrival_id).first()
    if row is None:
        raise NotFound(str(arrival_id))
    with open_mailbox(account.did) as mailbox:
        stored = _fetch(mailbox, [row]).get(row.pk)
    if stored is None:
        raise NotFound(str(arrival_id))
    return row, stored


def _fetch(mailbox: Mailbox, rows: Sequence[Arrival]) -> dict[int, Stored]:
    found = {}
    for folder in {row.folder for row in rows}:
        validity = mailbox.uidvalidity(folder)
        here = {row.uid: row.pk for row in rows if (row.folder, row.uid_validity) == (folder, validity)}
        for uid, stored in (mailbox.fetch(folder, list(here)) if here else {}).items():
            found[here[uid]] = stored
    return found
