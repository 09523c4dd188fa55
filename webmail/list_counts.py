"""What the head of the list counts beside conversations, in one query."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, IntegerField, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from accounts.models import Account
from accounts.prepared_rows import PreparedValues
from webmail import kept_aside, requests
from webmail.ordinary import marks


@dataclass(frozen=True)
class ListCounts:
    """`kept`: mails that somebody should look into; `requests`: conversations that wait for an answer;
    `mail`: unread ordinary mail."""

    kept: int
    requests: int
    mail: int


def list_counts(account: Account) -> ListCounts:
    """What waits for this account besides its messages."""
    return ListCounts(*_COUNTS.rows(account.pk)[0])


def _counts(account: int) -> QuerySet[Account, tuple[int, int, int]]:
    kept = _count(kept_aside.to_look_into(account))
    waiting = _count(requests.waiting(account))
    mail = _count(marks.waiting(account))
    return Account.objects.filter(pk=account).values_list(kept, waiting, mail)


_COUNTS = PreparedValues(_counts)


def _count(rows: QuerySet) -> Coalesce:  # type: ignore[type-arg]
    number = rows.order_by().annotate(all=Value(1)).values("all").annotate(number=Count("pk"))
    return Coalesce(Subquery(number.values("number"), output_field=IntegerField()), 0)
