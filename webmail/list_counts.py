"""What the head of the list counts, in one query."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Aggregate, Count, IntegerField, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from accounts.models import Account
from accounts.prepared_rows import PreparedValues
from webmail import kept_aside, mailbox_room, requests
from webmail.conversations import in_list, with_news
from webmail.mailbox import Room
from webmail.mailbox_room import Fullness
from webmail.ordinary import marks


@dataclass(frozen=True)
class ListCounts:
    """`kept`: mails that somebody should look into; `requests`: conversations that wait for an answer;
    `mail`: unread ordinary mail; `undelivered`: messages that somebody did not get; `room`: how full the
    mailbox is, where its server says so; `unread`: messages, without those of conversations that are muted
    or archived."""

    kept: int
    requests: int
    mail: int
    undelivered: int
    room: Room | None
    unread: int

    @property
    def fullness(self) -> Fullness:
        return mailbox_room.fullness(self.room)


def list_counts(account: Account) -> ListCounts:
    """What waits for this account."""
    kept, waiting, mail, undelivered, unread, held, most = _COUNTS.rows(account.pk)[0]
    room = None if held is None or most is None else Room(held, most)
    return ListCounts(kept, waiting, mail, undelivered, room, unread)


def _counts(account: int) -> QuerySet[Account, tuple[int, int, int, int, int, int | None, int | None]]:
    kept = _count(kept_aside.to_look_into(account))
    waiting = _count(requests.waiting(account))
    mail = _count(marks.waiting(account))
    undelivered = _count(in_list(account).filter(undelivered__gt=0), Sum("undelivered"))
    unread = _count(with_news(account), Sum("unread_count"))
    return Account.objects.filter(pk=account).values_list(
        kept, waiting, mail, undelivered, unread, "mailbox_cursor__held_octets", "mailbox_cursor__most_octets"
    )


_COUNTS = PreparedValues(_counts)


def _count(rows: QuerySet, how: Aggregate | None = None) -> Coalesce:  # type: ignore[type-arg]
    number = rows.order_by().annotate(all=Value(1)).values("all").annotate(number=how or Count("pk"))
    return Coalesce(Subquery(number.values("number"), output_field=IntegerField()), 0)
