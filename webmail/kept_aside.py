"""What could not be opened or checked: each with its reason, and a retry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import Account
from webmail import reasons
from webmail.conversations import NotFound
from webmail.models import Arrival

#: Reasons that trying again cannot change.
FINAL = frozenset({"ordinary-mail", "gone"})
#: Reasons that are nothing to look into.
NORMAL = ("ordinary-mail", "for-another-device")


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


def kept_aside(account: Account, *, limit: int = 200) -> list[KeptAside]:
    """The account's mails that were kept aside, newest first, those being tried again included."""
    return [_kept(row) for row in _rows(account)[:limit]]


def count(account: Account) -> int:
    """How many mails are kept aside that somebody should look into."""
    return _rows(account).exclude(reason__in=NORMAL).count()


def retry(account: Account, arrival_id: int) -> KeptAside:
    """Have a worker try one again; open pages hear of the outcome. Raises NotFound."""
    from webmail import tasks

    rows = Arrival.objects.filter(account=account, pk=arrival_id)
    asked = rows.filter(state=Arrival.State.KEPT_ASIDE).exclude(reason__in=FINAL)
    if asked.update(state=Arrival.State.WAITING):
        tasks.enqueue(tasks.pull, account.pk)
    arrival = rows.first()
    if arrival is None:
        raise NotFound(str(arrival_id))
    return _kept(arrival)


def _rows(account: Account) -> QuerySet[Arrival]:
    being_tried = Q(state=Arrival.State.WAITING) & ~Q(reason="")
    return Arrival.objects.filter(Q(state=Arrival.State.KEPT_ASIDE) | being_tried, account=account)


def _kept(arrival: Arrival) -> KeptAside:
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
    )
