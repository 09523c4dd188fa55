"""Deleted ordinary mail leaves the mailbox for good: when its owner has it removed, or once its time is over.

Only what is known here as ordinary mail, and what the mailbox itself has marked as deleted, is expunged: no
envelope ever is. Each step may run twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Account
from webmail import events, mailbox_room
from webmail.conversations import NotFound
from webmail.mailbox import DELETED, INBOX, Mailbox, MailboxError, open_mailbox
from webmail.models import Arrival, Draft, MailboxCursor, OutgoingMail, UnsentAnswer
from webmail.ordinary.marks import EVENT, KEPT, REASON, note_flags, of_account

log = logging.getLogger(__name__)

#: So many are removed at once.
MOST_AT_ONCE = 500


class Stays(StrEnum):
    """Why a deleted mail is not removed."""

    #: What was written as an answer is nowhere else, and whom it goes to is read from the mail.
    ANSWER_UNSENT = "answer-unsent"
    ANSWER_ON_ITS_WAY = "answer-on-its-way"
    PUT_BACK = "put-back"
    #: The mailbox was renumbered, and where the mail lies now is not known yet.
    RENUMBERED = "renumbered"


@dataclass
class Removed:
    """How many are gone, and why others stay. ``away``: the mailbox could not be reached any more."""

    count: int = 0
    staying: Counter[Stays] = field(default_factory=Counter)
    away: bool = False


@dataclass(frozen=True)
class Removable:
    """What would be removed now, as far as it is known without the mailbox. ``answered`` says that there are
    answers to some of it, which go out of its owner's sight with it."""

    count: int
    staying: Counter[Stays]
    answered: bool


def removable(account: Account, *, arrival_id: int | None = None) -> Removable:
    """What there is to remove: all that is deleted, or the one mail. Raises NotFound for one that is not
    deleted."""
    rows = _deleted(account)
    if arrival_id is not None:
        rows = rows.filter(pk=arrival_id)
        if not rows.exists():
            raise NotFound(str(arrival_id))
    free = _free(rows)
    return Removable(free.count(), _held(rows), OutgoingMail.objects.filter(arrival__in=free).exists())


def remove(account: Account, arrival_id: int, *, now: datetime) -> Removed:
    """Remove one deleted mail for good. Raises NotFound for one that is not deleted, or gone already."""
    rows = _deleted(account).filter(pk=arrival_id)
    if not rows.exists():
        raise NotFound(str(arrival_id))
    return _remove_all(account, rows, now)


def empty(account: Account, *, until: datetime, now: datetime) -> Removed:
    """Remove for good what was deleted until then."""
    return _remove_all(account, _deleted(account).filter(deleted_at__lte=until), now)


def prune(now: datetime) -> int:
    """Removes deleted mail whose time is over from the mailboxes; how many. What a mailbox that is away holds
    is left for the next time, and what has an answer that is nowhere else."""
    old = _free(Arrival.objects.filter(deleted_at__lt=now - KEPT, reason=REASON))
    removed = 0
    for account in Account.objects.filter(pk__in=old.order_by().values("account")):
        rows = list(old.filter(account=account).order_by("deleted_at")[:MOST_AT_ONCE])
        try:
            removed += _remove(account, rows, now).count
        except MailboxError as error:
            log.warning("deleted mail of account %s stays for now: %s", account.pk, error.code)
    return removed


def _deleted(account: Account) -> QuerySet[Arrival]:
    return of_account(account).filter(deleted_at__isnull=False)


def _free(rows: QuerySet[Arrival]) -> QuerySet[Arrival]:
    """Those that no answer needs."""
    unsent, on_their_way = _needed()
    return rows.exclude(pk__in=unsent).exclude(pk__in=on_their_way)


def _held(rows: QuerySet[Arrival]) -> Counter[Stays]:
    unsent, on_their_way = _needed()
    return +Counter(
        {
            Stays.ANSWER_UNSENT: rows.filter(pk__in=unsent).count(),
            Stays.ANSWER_ON_ITS_WAY: rows.filter(pk__in=on_their_way).exclude(pk__in=unsent).count(),
        }
    )


def _needed() -> tuple[QuerySet[Arrival, Any], QuerySet[OutgoingMail, Any]]:
    """The mails that answers need which are nowhere else: written and not sent, and on their way."""
    begun = Q(pk__in=Draft.objects.exclude(answers=None).values("answers"))
    unsent = Arrival.objects.filter(begun | Q(pk__in=UnsentAnswer.objects.values("arrival")))
    on_their_way = OutgoingMail.objects.filter(sealed__isnull=False)
    return unsent.values("pk"), on_their_way.values("arrival")


def _remove_all(account: Account, rows: QuerySet[Arrival], now: datetime) -> Removed:
    done = Removed(staying=_held(rows))
    try:
        for batch in _batches(_free(rows)):
            removed = _remove(account, batch, now)
            done.count += removed.count
            done.staying += removed.staying
    except MailboxError as error:
        log.warning("deleted mail of account %s stays for now: %s", account.pk, error.code)
        done.away = True
    if done.count or done.staying[Stays.PUT_BACK]:
        events.publish(account.pk, EVENT)
    return done


def _batches(rows: QuerySet[Arrival]) -> Iterator[list[Arrival]]:
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:MOST_AT_ONCE]):
        last = batch[-1].pk
        yield batch


def _remove(account: Account, rows: Sequence[Arrival], now: datetime) -> Removed:
    """First from the mailbox: what fails later is found to be gone the next time. Raises MailboxError."""
    with open_mailbox(account.did) as mailbox:
        validity = mailbox.uidvalidity(INBOX)
        here = {row.uid: row for row in rows if (row.folder, row.uid_validity) == (INBOX, validity)}
        flags = mailbox.flags(INBOX, list(here))
        # Another program may have put one back.
        going = [uid for uid, found in flags.items() if DELETED in found]
        mailbox.expunge(INBOX, going)
        elsewhere = [row for row in rows if here.get(row.uid) is not row]
        renumbered = elsewhere if elsewhere and not _is_all_read(account, mailbox, validity) else []
        if going:
            mailbox_room.ask_anew(account)
            mailbox_room.look(account, mailbox, now=now)
    back = [here[uid] for uid, found in flags.items() if DELETED not in found]
    for row in back:
        note_flags(row, flags[row.uid])
    staying = {row.pk for row in (*back, *renumbered)}
    # An answer that was written meanwhile is nowhere else; its mail is then known to be gone.
    gone = _free(Arrival.objects.filter(pk__in={row.pk for row in rows} - staying))
    keys = list(gone.values_list("pk", flat=True))
    Arrival.objects.filter(pk__in=keys).delete()
    return Removed(
        len(rows) - len(staying), Counter({Stays.PUT_BACK: len(back), Stays.RENUMBERED: len(renumbered)})
    )


def _is_all_read(account: Account, mailbox: Mailbox, validity: int) -> bool:
    """Whether every mail in the mailbox is known by its present number, so that another one is not there."""
    cursor = MailboxCursor.objects.filter(account=account, uid_validity=validity).first()
    return cursor is not None and not mailbox.uids_after(INBOX, cursor.last_uid)
