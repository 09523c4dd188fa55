"""Whom a message can be passed on to: conversations, and people with whom there is none yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from accounts.models import Account
from webmail.models import Conversation
from webmail.people import Person, people_of
from webmail.titled_conversations import Titled, titled, titled_of

#: So many can be chosen at once. Each gets a message of its own, and one press should not reach everybody.
MOST_CHOSEN = 10
#: So many are read of what a form names, to be shown with what is wrong.
_MOST_NAMED = 50


@dataclass(frozen=True)
class Target:
    """`key` is what forms name it by: the id (hex) of a conversation, or the DID of somebody."""

    key: str
    title: str
    people: list[Person]
    group: bool
    #: Whether the account has no conversation with them.
    first: bool = False
    #: Seconds after reading in which what goes there disappears; 0 for never.
    expires_after: int = 0
    #: The id of the message that gave a group its picture; empty without one.
    picture: str = ""

    @property
    def recipients(self) -> list[str]:
        """DIDs; the account's own of its notes to itself."""
        return [person.did for person in self.people]


@dataclass(frozen=True)
class Chosen:
    """`missing` is how many of those who were named are conversations that are not there any more."""

    targets: list[Target]
    missing: int = 0


def chosen(account: Account, keys: Iterable[str]) -> Chosen:
    """Those whom a form names, each once. Nobody is asked about anybody.

    Raises crypto_agent.client.AgentLocked if it was not known before that the keys are locked.
    """
    named = list(dict.fromkeys(keys))[:_MOST_NAMED]
    dids = [key for key in named if _is_did(key)]
    theirs = conversations_with(account, dids) if dids else {}
    wanted = list(dict.fromkeys(theirs.get(key, key) for key in named))
    there = {each.id: of_conversation(each) for each in titled_of(account, wanted)} if wanted else {}
    people = people_of(dids) if dids else {}
    first = {did: of_person(people[did]) for did in dids if did not in theirs}
    found = there | first
    return Chosen([found[key] for key in wanted if key in found], sum(key not in found for key in wanted))


def conversations(account: Account, words: str, besides: Sequence[Target]) -> list[Target]:
    """The account's newest conversations that ``words`` find, as ``titled_conversations`` has them, without
    those that are chosen already."""
    left_out = {target.key for target in besides}
    return [of_conversation(each) for each in titled(account, words) if each.id not in left_out]


def conversations_with(account: Account, dids: Iterable[str]) -> Mapping[str, str]:
    """By DIDs, the ids (hex) of the account's conversations with that one person alone, where it has one."""
    by_people = {tuple(sorted({account.did, did})): did for did in dids}
    rows = Conversation.objects.filter(
        account=account,
        standing=Conversation.Standing.ACCEPTED,
        participants__in=[list(people) for people in by_people],
    )
    found = rows.values_list("participants", "conversation_id")
    return {by_people[tuple(people)]: conversation_id for people, conversation_id in found}


def of_conversation(found: Titled) -> Target:
    return Target(
        found.id,
        found.title,
        found.people,
        found.group,
        expires_after=found.expires_after,
        picture=found.picture,
    )


def of_person(person: Person) -> Target:
    return Target(person.did, person.name, [person], group=False, first=True)


def _is_did(key: str) -> bool:
    return key.startswith("did:")
