"""Searching an account's messages: the agent finds them, the index says which they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from django.utils import timezone

from accounts.agent import agent
from accounts.folded_names import folded
from accounts.models import Account
from crypto_agent.client import AgentError, AgentLocked, AgentRefused, AgentSealed, Found, SealedContent
from webmail import groups
from webmail.conversations import title_of
from webmail.edits import newest_edits
from webmail.highlighting import Run, excerpt
from webmail.models import Conversation, Message
from webmail.people import Person, people_of
from webmail.search_filters import narrowed
from webmail.search_query import Operator, parse

LIMIT = 20
#: So many pages without anything to show are passed over at a time, as of somebody blocked since.
MOST_EMPTY_PAGES = 10

Problem = Literal["", "locked", "no-day", "sealed", "too-long", "unavailable", "unknown"]


@dataclass(frozen=True)
class Result:
    """A message that was found, by the id of the one in whose place it is shown."""

    message_id: str
    conversation_id: str
    #: The name that its people gave it, or theirs.
    title: str
    sender: Person
    own: bool
    placed_at: datetime
    text: list[Run]


@dataclass(frozen=True)
class Results:
    """What a page shows of a search; ``cursor`` is for more, or for trying again.

    A blank ``query`` searched for nothing, and so did one of signs that nobody sees.
    """

    query: str
    found: list[Result]
    cursor: str | None = None
    problem: Problem = ""
    operators: Sequence[Operator] = ()
    #: The operator that names nobody, with the problem "unknown", or no day, with "no-day".
    unknown: Operator | None = None


def search(account: Account, query: str, cursor: str | None = None) -> Results:
    """The messages with all words of the query that its operators let through, newest first."""
    # PostgreSQL refuses this one with an error.
    query = query.replace("\x00", " ").strip()
    if not query:
        return Results("", [])
    today = timezone.localdate()
    parsed = parse(query)
    if not parsed.operators and not folded(parsed.words).strip('" '):
        return Results("", [])
    if account.locked_here:
        return Results(query, [], problem="locked", operators=parsed.operators)
    results = partial(Results, query, operators=parsed.operators)
    try:
        meant = narrowed(account, parsed, today)
        if meant.unknown:
            return results([], problem="unknown", unknown=meant.unknown)
        if meant.no_day:
            return results([], problem="no-day", unknown=meant.no_day)
        for _page in range(MOST_EMPTY_PAGES):
            answer = agent().search(
                account.did, parsed.words, filters=meant.filters, limit=LIMIT, cursor=cursor
            )
            found, cursor = _results(account, parsed.words, answer.found), answer.cursor
            if found or cursor is None:
                break
    except AgentLocked:
        return results([], problem="locked")
    except AgentSealed:
        return results([], cursor, problem="sealed")
    except AgentRefused as error:
        too_long = error.code == "InvalidRequest"
        return results([], cursor, problem="too-long" if too_long else "unavailable")
    except AgentError:
        return results([], cursor, problem="unavailable")
    return results(found, cursor)


def _results(account: Account, query: str, found: Sequence[Found]) -> list[Result]:
    rows = {
        message.message_id: message
        for message in Message.objects.filter(
            account=account,
            message_id__in=[one.message_id for one in found],
            forgotten_at=None,
            trust__in=Message.VOUCHED_FOR,
            aside=Message.Aside.NO,
            conversation__standing=Conversation.Standing.ACCEPTED,
            conversation__blocked=False,
        ).select_related("conversation__named_by")
    }
    messages = [rows[one.message_id] for one in found if one.message_id in rows]
    places = _places(account, messages)
    edits = newest_edits(list(places.values()))
    messages = [
        message for message in messages if message.pk in places and _is_newest(message, places, edits)
    ]
    people = people_of(
        {did for message in messages for did in (*message.conversation.participants, message.sender_did)}
        | {account.did}
    )
    items = [
        SealedContent(message.conversation.conversation_id, message.message_id, bytes(message.sealed))
        for message in messages
    ]
    named = list({message.conversation_id: message.conversation for message in messages}.values())
    naming = groups.naming(named)
    read = agent().read(account.did, [*items, *naming.values()]) if items else []
    names = {pk: groups.name_in(answer) for pk, answer in zip(naming, read[len(items) :], strict=True)}
    return [
        _result(
            account,
            message,
            places[message.pk],
            excerpt(answer.text or "", query),
            names.get(message.conversation_id) or title_of(account, message.conversation, people),
            people,
        )
        for message, answer in zip(messages, read[: len(items)], strict=True)
        if answer.error is None and not answer.tombstone
    ]


def _places(account: Account, messages: Sequence[Message]) -> dict[int, Message]:
    """The message of the thread in whose place each is shown: itself, or for an edit what it replaces."""
    originals = {
        (message.message_id, message.sender_did): message
        for message in Message.objects.filter(
            account=account, message_id__in=[message.replaces for message in messages if message.replaces]
        )
    }
    places = {}
    for message in messages:
        place = originals.get((message.replaces, message.sender_did)) if message.replaces else message
        if place is not None:
            places[message.pk] = place
    return places


def _is_newest(message: Message, places: dict[int, Message], edits: dict[int, Message]) -> bool:
    return edits.get(places[message.pk].pk, places[message.pk]) == message


def _result(
    account: Account,
    message: Message,
    place: Message,
    text: list[Run],
    title: str,
    people: dict[str, Person],
) -> Result:
    return Result(
        message_id=place.message_id,
        conversation_id=message.conversation.conversation_id,
        title=title,
        sender=people[message.sender_did],
        own=message.sender_did == account.did,
        placed_at=place.placed_at,
        text=text,
    )
