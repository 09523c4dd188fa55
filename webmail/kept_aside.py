"""What could not be opened or checked: each with its reason, a retry, and a way to put it away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Account
from webmail import another_copy, events, queues, reasons
from webmail.conversations import NotFound
from webmail.models import Arrival
from webmail.people import Person, people_of

#: Mails on one page.
PAGE = 50
#: Reasons that trying again cannot change.
FINAL = frozenset({"ordinary-mail", "gone", "too-many-people"})
#: Reasons that are nothing to look into.
NORMAL = ("ordinary-mail", "for-another-device", "for-another-device-key")


@dataclass(frozen=True)
class KeptAside:
    """`trying` says that a worker has it in hand once more."""

    id: int
    envelope_id: str
    code: str
    reason: str
    arrived_at: datetime
    size: int
    can_retry: bool
    trying: bool
    put_away: bool
    #: Whether somebody can be asked for another copy, and who was.
    can_ask: bool
    #: Why nobody can, where a copy would not help; "" where one may, or the reason says enough.
    no_copy: str
    asked: Person | None
    asked_at: datetime | None


def kept_aside(
    account: Account, *, put_away: bool = False, before: int | None = None, limit: int = PAGE
) -> list[KeptAside]:
    """The account's mails that were kept aside, those noted last first, those being tried again included.
    Those that were put away come by themselves.

    With `before`, the key of one of them, those that were noted before it.
    """
    rows = _rows(account, put_away=put_away).order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[:limit])
    people = people_of({row.asked_did for row in found if row.asked_did})
    return [_kept(row, people) for row in found]


def count(account: Account) -> int:
    """How many mails are kept aside that somebody should look into."""
    return to_look_into(account).count()


def count_put_away(account: Account) -> int:
    """How many mails that were kept aside the account put away."""
    return _rows(account, put_away=True).count()


def to_look_into(account: Account | int) -> QuerySet[Arrival]:
    """The mails kept aside that somebody should look into.

    Not those of which another copy was asked for: that one says nothing of this, so nobody can tell here when
    it has come.
    """
    return _rows(account).filter(asked_at=None).exclude(reason__in=NORMAL)


def retry(account: Account, arrival_id: int) -> KeptAside:
    """Have a worker try one again; open pages hear of the outcome. Raises NotFound."""
    rows = Arrival.objects.filter(account=account, pk=arrival_id)
    asked = rows.filter(state=Arrival.State.KEPT_ASIDE).exclude(reason__in=FINAL)
    if asked.update(state=Arrival.State.WAITING):
        queues.give(queues.PULL, account.pk)
    arrival = rows.first()
    if arrival is None:
        raise NotFound(str(arrival_id))
    return kept(arrival)


def put_away(account: Account, arrival_id: int, *, now: datetime | None) -> KeptAside:
    """Take one out of what somebody should look into; it stays where it is in the mailbox. Without a time it
    is put back. Raises NotFound."""
    rows = Arrival.objects.filter(account=account, pk=arrival_id)
    if rows.filter(state=Arrival.State.KEPT_ASIDE).update(put_away_at=now):
        events.publish(account.pk, "kept-aside")
    return find(account, arrival_id)


def find(account: Account, arrival_id: int) -> KeptAside:
    """One of the account's. Raises NotFound."""
    arrival = Arrival.objects.filter(account=account, pk=arrival_id).first()
    if arrival is None:
        raise NotFound(str(arrival_id))
    return kept(arrival)


def kept(arrival: Arrival) -> KeptAside:
    """One of them."""
    return _kept(arrival, people_of([arrival.asked_did] if arrival.asked_did else []))


def _rows(account: Account | int, *, put_away: bool = False) -> QuerySet[Arrival]:
    being_tried = Q(state=Arrival.State.WAITING) & ~Q(reason="")
    rows = Arrival.objects.filter(
        Q(state=Arrival.State.KEPT_ASIDE) | being_tried, account=account, deleted_at=None
    )
    return rows.filter(put_away_at__isnull=not put_away)


def _kept(arrival: Arrival, people: Mapping[str, Person]) -> KeptAside:
    trying = arrival.state != Arrival.State.KEPT_ASIDE
    return KeptAside(
        id=arrival.pk,
        envelope_id=arrival.envelope_id,
        code=arrival.reason,
        reason=reasons.of_kept_aside(arrival.reason),
        arrived_at=arrival.arrived_at,
        size=arrival.size,
        can_retry=not trying and arrival.reason not in FINAL,
        trying=trying,
        put_away=arrival.put_away_at is not None,
        can_ask=not trying
        and arrival.reason in another_copy.ASKABLE
        and not another_copy.asked_today(arrival, timezone.now()),
        no_copy=another_copy.why_none(arrival.reason),
        asked=people.get(arrival.asked_did),
        asked_at=arrival.asked_at,
    )
