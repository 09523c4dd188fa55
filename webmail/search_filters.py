"""From a query's operators to what the agent narrows a search to: people, conversations, times, kinds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from django.db.models import Count, Q
from django.utils import timezone

from accounts.folded_names import folded
from accounts.models import Account, Peer
from accounts.named import named, named_exactly
from crypto_agent.client import SearchFilters
from webmail import groups
from webmail.conversation_pages import with_names
from webmail.conversations import in_list
from webmail.models import ConversationMember
from webmail.search_query import Operator, SearchQuery, day_of

#: People and conversations that a search is narrowed to; the agent takes no more.
MOST = 100
#: Groups whose names are looked through: the agent reads each of them.
MOST_GROUPS = 200
#: The word by which people name themselves.
ME = "me"

#: What stands between the names of a conversation's people.
_BETWEEN = re.compile(r",|\s+(?:and|&)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Narrowed:
    """Filters for the agent, and the operator that names nobody and nothing, or no day, if there is one."""

    filters: SearchFilters
    unknown: Operator | None = None
    no_day: Operator | None = None


def narrowed(account: Account, query: SearchQuery, today: date) -> Narrowed:
    """What the operators of a query mean to an account. Several from:, or in:, mean any of them.

    Raises AgentError, since only the agent reads the names of groups.
    """
    people: set[str] = set()
    conversations: set[str] = set()
    for operator in query.operators:
        if operator.name == "from":
            found = _people(account, operator.value)
            people |= found
        elif operator.name == "in":
            found = _conversations(account, operator.value)
            conversations |= found
        elif operator.name in ("before", "after") and day_of(operator.value, today) is None:
            return Narrowed(SearchFilters(), no_day=operator)
        else:
            continue
        if not found:
            return Narrowed(SearchFilters(), operator)
    return Narrowed(
        SearchFilters(
            conversation_ids=sorted(conversations)[:MOST],
            sender_dids=sorted(people)[:MOST],
            after=max((_begin(value, today) for value in query.values("after")), default=None),
            before=min((_begin(value, today) for value in query.values("before")), default=None),
            has=tuple(dict.fromkeys(query.values("has"))),
        )
    )


def _people(account: Account, value: str) -> set[str]:
    """The DIDs of those among the people of the account's list whom a name, handle or DID means.

    Whose handle it is exactly, or who is called exactly so, is meant before all who have it in their name.
    """
    if value.casefold() == ME:
        return {account.did}
    own = ConversationMember.objects.filter(conversation__in=in_list(account)).values("did")
    for meant in (named_exactly(value) | Q(did=value), named(value)):
        found: set[str] = set()
        for model in (Peer, Account):
            rows = model._default_manager.filter(meant).filter(Q(did__in=own) | Q(did=account.did))
            found |= set(rows.values_list("did", flat=True)[:MOST])
        if found:
            return found
    return set()


def _conversations(account: Account, value: str) -> set[str]:
    """The ids of the groups in the list with this in their name, and of the conversations there with all of
    these people and the fewest others. Raises AgentError."""
    wanted = folded(value).strip()
    named_so = {
        conversation_id
        for conversation_id, name in groups.names_of(account, MOST_GROUPS).items()
        if wanted and wanted in folded(name)
    }
    words = " ".join(_BETWEEN.sub(" ", value).split())
    rows = with_names(in_list(account), words)
    rows = rows.annotate(size=Count("members")).order_by("size", "-last_activity", "-pk")
    found = list(rows.values_list("conversation_id", "size")[:MOST])
    return named_so | {conversation_id for conversation_id, size in found if size == found[0][1]}


def _begin(value: str, today: date) -> datetime:
    """When the day begins that a value of before: or after: names, in the current time zone."""
    day = day_of(value, today)
    assert day is not None
    try:
        return timezone.make_aware(datetime.combine(day, time.min)).astimezone(UTC)
    except OverflowError:
        return datetime.combine(day, time.min, UTC)
