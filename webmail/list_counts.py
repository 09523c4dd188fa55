"""What the head of the list counts beside conversations, in one query."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, IntegerField, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from accounts.models import Account
from webmail import kept_aside, requests


@dataclass(frozen=True)
class ListCounts:
    """`kept`: mails that somebody should look into; `requests`: conversations that wait for an answer."""

    kept: int
    requests: int


def list_counts(account: Account) -> ListCounts:
    """What waits for this account besides its messages."""
    kept = _count(kept_aside.to_look_into(account))
    waiting = _count(requests.waiting(account))
    return ListCounts(*Account.objects.filter(pk=account.pk).values_list(kept, waiting).get())


def _count(rows: QuerySet) -> Coalesce:  # type: ignore[type-arg]
    number = rows.order_by().annotate(all=Value(1)).values("all").annotate(number=Count("pk"))
    return Coalesce(Subquery(number.values("number"), output_field=IntegerField()), 0)
