"""Conversations to choose from, by what they are called."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet

from accounts.folded_names import folded
from accounts.models import Account
from crypto_agent.client import AgentError, AgentLocked
from webmail import groups
from webmail.conversations import in_list, others_in, picture_of, title_of
from webmail.models import Conversation
from webmail.people import Person, people_of

#: Groups of which the names are read where one of them is chosen.
MOST_NAMED = 100


@dataclass(frozen=True)
class Titled:
    """A conversation to choose, without anything that was said there."""

    id: str
    title: str
    people: list[Person]
    group: bool
    #: Seconds after reading in which what the account writes there disappears; 0 for never.
    expires_after: int = 0
    #: The id of the message that gave a group its picture; empty without one.
    picture: str = ""


def titled(account: Account, words: str = "", *, limit: int = 50) -> list[Titled]:
    """The account's newest conversations whose name, or people's names or handles, hold ``words``,
    accents and case aside; none that it left.

    Groups go by their names where the agent reads them. Raises crypto_agent.client.AgentLocked if it was not
    known before that the keys are locked.
    """
    rows = in_list(account).filter(last_message__isnull=False, left_at=None)
    found = _titled(account, rows[: 500 if words else limit])
    wanted = folded(words)
    return [each for each, read_as in found if wanted in folded(read_as)][:limit]


def titled_of(account: Account, conversation_ids: Collection[str]) -> list[Titled]:
    """Those of the conversations that the account agreed to with these ids (hex), also where it blocked
    somebody or left since they were chosen, in the order of the ids. As ``titled``."""
    rows = Conversation.objects.filter(
        account=account, conversation_id__in=conversation_ids, standing=Conversation.Standing.ACCEPTED
    )
    found = {each.id: each for each, _read_as in _titled(account, rows)}
    return [found[each] for each in conversation_ids if each in found]


def _titled(account: Account, rows: QuerySet[Conversation]) -> list[tuple[Titled, str]]:
    """Each with all by which it is found: its own name, its people's, and their handles."""
    # The picture itself is in what is sealed.
    found = list(rows.select_related("pictured_by").defer("pictured_by__sealed"))
    if not found:
        return []
    people = people_of({did for row in found for did in row.participants} | {account.did})
    names = _group_names(account)
    answer = []
    for row in found:
        others = [people[did] for did in others_in(account, row)]
        by_people = title_of(account, row, people)
        name = names.get(row.conversation_id, "")
        read_as = " ".join((name, by_people, *(one.handle for one in others)))
        shown = Titled(
            row.conversation_id,
            name or by_people,
            others,
            len(others) > 1,
            expires_after=row.expires_after,
            picture=picture_of(account, row),
        )
        answer.append((shown, read_as))
    return answer


def _group_names(account: Account) -> Mapping[str, str]:
    """The names of the account's newest groups by conversation id; none while the agent does not answer."""
    if account.locked_here:
        return {}
    try:
        return groups.names_of(account, MOST_NAMED)
    except AgentLocked:
        raise
    except AgentError:
        return {}
