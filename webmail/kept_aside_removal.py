"""What was kept aside leaves the mailbox for good: its owner has it removed, or nothing can open it any more.

Each step may run twice: first the mail goes, then the row that says where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from accounts.models import Account
from webmail import events, mailbox_room
from webmail.conversations import NotFound
from webmail.mailbox import INBOX, QUARANTINE, MailboxError, open_mailbox
from webmail.mailbox.envelope_mail import envelope_message_id
from webmail.models import Arrival
from webmail.ordinary.marks import REASON as ORDINARY

log = logging.getLogger(__name__)

#: So many are removed at once.
MOST_AT_ONCE = 500
#: How long what nothing opens is kept since it was tried last. What was sealed for another device was so to a
#: prekey of that time, which is destroyed everywhere two weeks later: no import brings it back after that.
KEPT = timedelta(days=30)
#: Why something will not be opened whatever keys come back: it is another device's, or damaged, or what is in
#: it is not what it says. Not "cannot-open", whose key a backup may hold, nor "for-another-device-key", whose
#: key an import may bring, nor what depends on an update or on what its signer publishes.
HOPELESS = frozenset(
    {
        *("for-another-device", "not-canonical", "bad-envelope", "bad-padding", "bad-cms", "bad-certificate"),
        *("bad-signature", "bad-content", "wrong-conversation", "not-for-you", "too-many-people", "gone"),
    }
)


def removable(account: Account, *, put_away: bool) -> int:
    """How many can be removed: of those that were put away, or of the others."""
    return _rows(account, put_away=put_away).count()


def is_removable(account: Account, arrival_id: int) -> bool:
    """Whether this is something that is kept aside, and is not being tried again."""
    return _kept_aside().filter(account=account, pk=arrival_id).exists()


def remove(account: Account, arrival_id: int, *, now: datetime) -> None:
    """Remove one for good. Raises NotFound for one that is not kept aside any more, and MailboxError."""
    row = _kept_aside().filter(account=account, pk=arrival_id).first()
    if row is None:
        raise NotFound(str(arrival_id))
    _remove(account, [row], now)
    events.publish(account.pk, "kept-aside")


def remove_all(account: Account, *, put_away: bool, until: datetime, now: datetime) -> int:
    """Remove for good what was put away, or else what was not, as far as it was kept aside until then; how
    many. Raises MailboxError; what was removed so far stays so."""
    removed = 0
    try:
        for batch in _batches(_rows(account, put_away=put_away).filter(updated_at__lte=until)):
            removed += _remove(account, batch, now)
    finally:
        if removed:
            events.publish(account.pk, "kept-aside")
    return removed


def prune(now: datetime) -> int:
    """Removes what is HOPELESS and was kept long enough; how many. What a mailbox that is away holds is left
    for the next time, and that of which another copy was asked for lately."""
    old = _kept_aside().filter(reason__in=HOPELESS, updated_at__lt=now - KEPT)
    old = old.filter(Q(asked_at=None) | Q(asked_at__lt=now - KEPT))
    removed = 0
    for account in Account.objects.filter(pk__in=old.order_by().values("account")):
        try:
            for batch in _batches(old.filter(account=account)):
                removed += _remove(account, batch, now)
        except MailboxError as error:
            log.warning("what is kept aside for account %s stays for now: %s", account.pk, error.code)
        events.publish(account.pk, "kept-aside")
    return removed


def _kept_aside() -> QuerySet[Arrival]:
    """Not ordinary mail, which goes by its own way."""
    return Arrival.objects.filter(state=Arrival.State.KEPT_ASIDE).exclude(reason=ORDINARY)


def _rows(account: Account, *, put_away: bool) -> QuerySet[Arrival]:
    return _kept_aside().filter(account=account, put_away_at__isnull=not put_away)


def _batches(rows: QuerySet[Arrival]) -> Iterator[list[Arrival]]:
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:MOST_AT_ONCE]):
        last = batch[-1].pk
        yield batch


def _remove(account: Account, rows: Sequence[Arrival], now: datetime) -> int:
    """Wherever the mail lies by now: a worker may have moved it, or the folder been renumbered."""
    names = [envelope_message_id(row.envelope_id) for row in rows]
    with open_mailbox(account.did) as mailbox:
        for folder in (QUARANTINE, INBOX):
            found = mailbox.find_all(folder, names)
            mailbox.expunge(folder, [uid for uids in found.values() for uid in uids])
        mailbox_room.ask_anew(account)
        mailbox_room.look(account, mailbox, now=now)
    # One that is tried again meanwhile is found to be gone, and can be removed then.
    gone = _kept_aside().filter(pk__in=[row.pk for row in rows])
    return gone.delete()[0]
