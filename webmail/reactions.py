"""Reactions under a message: which emoji, from whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto_agent.client import ReadMessage
from webmail.emoji import is_one_emoji
from webmail.models import Message
from webmail.people import Person
from webmail.related import Related

#: Kinds of emoji that one message shows.
MOST_KINDS = 20


@dataclass(frozen=True)
class Reaction:
    """An emoji, and who reacted with it; ``own`` if the account did."""

    emoji: str
    people: list[Person]
    own: bool


def reactions_of(
    message: Message,
    related: Related,
    read: Mapping[int, ReadMessage],
    people: Mapping[str, Person],
    own_did: str,
) -> list[Reaction]:
    """The reactions to a message, in the order in which each emoji came first; nobody counts twice."""
    by_emoji: dict[str, dict[str, None]] = {}
    for row in related.reactions.get(message.pk, []):
        for emoji in emoji_of(row, related, read):
            by_emoji.setdefault(emoji, {})[row.sender_did] = None
    return [
        Reaction(emoji, [people[did] for did in dids], own_did in dids)
        for emoji, dids in list(by_emoji.items())[:MOST_KINDS]
    ]


def emoji_of(row: Message, related: Related, read: Mapping[int, ReadMessage]) -> Sequence[str]:
    """What a reaction says now; nothing once it was taken back, and nothing but emoji."""
    answer = read.get(related.newest(row).pk)
    return [emoji for emoji in answer.reactions if is_one_emoji(emoji)] if answer else []
