"""Arrivals: the mails of the INBOX made known, each once, before anything is done with them.

They are known by envelope id, so this may be repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from webmail import events
from webmail.mailbox import INBOX, QUARANTINE, Mailbox, Stored
from webmail.mailbox.envelope_mail import Envelope, envelope_in_mail, envelope_message_id
from webmail.models import Arrival, MailboxCursor
from webmail.ordinary import marks
from webmail.push import notices

#: How many mails the first batch has.
FIRST = 20


@dataclass(frozen=True)
class Noted:
    """A batch of what is new: how many mails, and the envelopes in them by their ids."""

    mails: int
    envelopes: Mapping[str, bytes]


def note(account: Account, mailbox: Mailbox, *, at_once: int) -> Iterator[Noted]:
    """Makes what is new in the INBOX known, in batches of so many. Raises MailboxError."""
    cursor, _created = MailboxCursor.objects.get_or_create(account=account)
    validity = mailbox.uidvalidity(INBOX)
    if cursor.uid_validity != validity:
        cursor.uid_validity, cursor.last_uid = validity, 0
    marks.follow(account, mailbox, validity)
    uids = mailbox.uids_after(INBOX, cursor.last_uid)
    # The first are few, so that an empty list shows something soon.
    starts = [0, *range(min(FIRST, at_once), len(uids), at_once)] if uids else []
    for start, end in pairwise([*starts, len(uids)]):
        batch = uids[start:end]
        mails = list(mailbox.fetch(INBOX, batch).values())
        cursor.last_uid = batch[-1]
        yield Noted(len(batch), _note_batch(account, mailbox, mails, cursor))


def _note_batch(
    account: Account, mailbox: Mailbox, mails: Sequence[Stored], cursor: MailboxCursor
) -> dict[str, bytes]:
    """Make the arrival of mails known, and how far the mailbox was read with them; drop those whose envelopes
    are known already. Gives the envelopes by their ids."""
    found = [_Found(mail, envelope_in_mail(mail.raw)) for mail in mails]
    validity = cursor.uid_validity
    ordinary = [each.mail for each in found if each.envelope is None]
    spam = marks.set_aside_blocked(account, mailbox, ordinary)
    with transaction.atomic():
        arrivals = _make_known(account, found, validity, spam)
        again = [each for each in found if not _is_where(arrivals[each.name], each.mail, validity)]
        # In one commit with them, unless there is more to do for them.
        if not again:
            cursor.save(update_fields=["uid_validity", "last_uid"])
    if again:
        for each in again:
            _note_again(mailbox, arrivals[each.name], each.mail, validity)
        cursor.save(update_fields=["uid_validity", "last_uid"])
    _tell(account, ordinary, spam)
    return {each.name: each.envelope.data for each in found if each.envelope}


def _tell(account: Account, ordinary: Sequence[Stored], spam: frozenset[int]) -> None:
    """Open pages hear of new ordinary mail, and browsers are woken for what is neither read nor spam."""
    if ordinary:
        events.publish(account.pk, marks.EVENT)
    worth_a_word = any(marks.Marks.of(mail.flags).unread and mail.uid not in spam for mail in ordinary)
    if worth_a_word and notices.any_browser(account.pk):
        notices.something_came(account.pk)


@dataclass(frozen=True)
class _Found:
    """A mail and the envelope in it; None in ordinary mail."""

    mail: Stored
    envelope: Envelope | None

    @cached_property
    def name(self) -> str:
        """Ordinary mail goes by what was fetched of it and by its size, as long mail is fetched in part."""
        if self.envelope is not None:
            return self.envelope.envelope_id
        return hashlib.sha256(self.mail.raw + str(self.mail.size).encode()).hexdigest()


def _make_known(
    account: Account, found: Sequence[_Found], validity: int, spam: frozenset[int]
) -> dict[str, Arrival]:
    """The arrivals of these mails by their names, those made that were not known."""
    Arrival.objects.bulk_create(
        (_new_arrival(account, each, validity, spam) for each in found), ignore_conflicts=True
    )
    rows = Arrival.objects.filter(account=account, envelope_id__in={each.name for each in found})
    return {row.envelope_id: row for row in rows}


def _new_arrival(account: Account, found: _Found, validity: int, spam: frozenset[int]) -> Arrival:
    arrival = Arrival(
        account=account,
        envelope_id=found.name,
        uid_validity=validity,
        uid=found.mail.uid,
        size=found.mail.size,
        arrived_at=found.mail.received_at,
    )
    if found.envelope is None:
        marked = marks.Marks.of(found.mail.flags)
        arrival.state, arrival.reason = Arrival.State.KEPT_ASIDE, marks.REASON
        arrival.unread, arrival.spam = marked.unread, found.mail.uid in spam
        arrival.deleted_at = timezone.now() if marked.deleted else None
    return arrival


def _is_where(arrival: Arrival, mail: Stored, validity: int) -> bool:
    """Whether this mail of the INBOX is the one that is known."""
    return (arrival.uid_validity, arrival.uid, arrival.folder) == (validity, mail.uid, INBOX)


def _note_again(mailbox: Mailbox, arrival: Arrival, mail: Stored, validity: int) -> None:
    """Go on with another copy of what is known, or drop it."""
    # Another program may have removed what was set aside.
    settled = arrival.state == Arrival.State.DONE or (
        arrival.folder == QUARANTINE
        and bool(mailbox.find(QUARANTINE, envelope_message_id(arrival.envelope_id)))
    )
    # A number from before a renumbering names another mail now, or this very one.
    has_other_copy = (arrival.folder, arrival.uid_validity) == (INBOX, validity) and bool(
        mailbox.fetch(INBOX, [arrival.uid])
    )
    if settled or has_other_copy:
        mailbox.expunge(INBOX, [mail.uid])
        return
    # The mailbox was renumbered, or the first copy went away: this copy is the one to go on with.
    waits = arrival.reason == "gone" or arrival.folder == QUARANTINE
    state = Arrival.State.WAITING if waits else arrival.state
    marked = marks.said_of(arrival, mail.flags) if arrival.reason == marks.REASON else {}
    Arrival.objects.filter(pk=arrival.pk).update(
        uid_validity=validity, uid=mail.uid, folder=INBOX, state=state, **marked
    )
