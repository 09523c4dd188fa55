"""Pages of the list of conversations: which rows they hold, in which order, and where the next one begins.

The order is that of time, and of rows' keys where times are the same; pinned conversations come before it.
A page begins after a row, not after a number of rows: what comes meanwhile moves nothing to another page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import Account, Peer
from accounts.named import named, typed_words
from webmail import cursor_times
from webmail.models import Conversation, ConversationMember

#: Rows of conversations, whatever they are annotated with.
Row = TypeVar("Row", bound=Conversation)
Filter = Literal["all", "unread", "archived", "any"]
#: Those that a person chooses; "any" has what is archived as well.
FILTERS: tuple[Filter, ...] = ("all", "unread", "archived")

#: Words of a name that are looked for; further ones are left out.
MOST_WORDS = 6
#: So many people are looked up by themselves.
FEW_PEOPLE = 100

_CURSOR = re.compile(rf"([pt])({cursor_times.PATTERN})-([0-9]{{1,18}})", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    """The last row of a page: whether it is among the pinned, its time, and its key."""

    pinned: bool
    time: datetime
    pk: int

    def __str__(self) -> str:
        """As an address holds it."""
        return f"{'p' if self.pinned else 't'}{cursor_times.written(self.time)}-{self.pk}"


def cursor_in(text: str) -> Cursor | None:
    """The cursor of an address; None for anything else."""
    found = _CURSOR.fullmatch(text)
    time = cursor_times.read(found[2]) if found else None
    return Cursor(found[1] == "p", time, int(found[3])) if found and time else None


def page(
    rows: QuerySet[Row], *, filter: Filter, after: Cursor | None, limit: int
) -> tuple[Sequence[Row], Cursor | None]:
    """At most `limit` of the account's `rows`, and where the next page begins, if there is one.

    One query, beside what `rows` prefetch.
    """
    return cut(list(ordered(rows, filter, after)[: limit + 1]), filter, limit)


def ordered(rows: QuerySet[Row], filter: Filter, after: Cursor | None = None) -> QuerySet[Row]:
    """Those of the account's `rows` that a list has behind a place, in its order."""
    if filter in ("all", "any"):
        rows = rows if filter == "any" else rows.filter(archived_at=None)
        rows = rows.order_by("-pinned", "-last_activity", "-pk")
        if after is not None and after.pinned:
            rows = rows.filter(Q(pinned=False) | Q(last_activity__lte=after.time)).exclude(
                pinned=True, last_activity=after.time, pk__gte=after.pk
            )
        elif after is not None:
            rows = _past(rows.filter(pinned=False), after)
    else:
        chosen = (
            Q(archived_at__isnull=False) if filter == "archived" else Q(archived_at=None, unread_count__gt=0)
        )
        rows = _past(rows.filter(chosen).order_by("-last_activity", "-pk"), after)
    return rows


def cut(found: Sequence[Row], filter: Filter, limit: int) -> tuple[Sequence[Row], Cursor | None]:
    """At most `limit` rows of some that may be one more, and where the next page begins, if there is one."""
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], Cursor(filter in ("all", "any") and last.pinned, last.last_activity, last.pk)


def with_names(rows: QuerySet[Row], words: str) -> QuerySet[Row]:
    """Those of `rows` in which there is somebody for every word, by a part of their name or handle, accents
    and case aside.

    One query for every word.
    """
    wanted = typed_words(words)[:MOST_WORDS]
    if words.strip() and not wanted:
        return rows.none()
    for word in wanted:
        peers, accounts = (
            model._default_manager.filter(named(word)).order_by().values("did") for model in (Peer, Account)
        )
        meant = [row["did"] for row in peers.union(accounts, all=True)[: FEW_PEOPLE + 1]]
        if not meant:
            return rows.none()
        # Few people lead to their conversations; where a word means nearly everybody, the newest
        # conversations are soon found among all.
        if len(meant) <= FEW_PEOPLE:
            rows = rows.filter(pk__in=ConversationMember.objects.filter(did__in=meant).values("conversation"))
        else:
            people = Q(did__in=peers) | Q(did__in=accounts)
            rows = rows.filter(Exists(ConversationMember.objects.filter(people, conversation=OuterRef("pk"))))
    return rows


def _past(rows: QuerySet[Row], after: Cursor | None) -> QuerySet[Row]:
    if after is None:
        return rows
    return rows.filter(last_activity__lte=after.time).exclude(last_activity=after.time, pk__gte=after.pk)
