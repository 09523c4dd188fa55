"""What belongs to the messages of a page: their newest versions, reactions to them, what they answer, and
what their topics began with."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from accounts.prepared_rows import PreparedRows
from webmail.edits import newest_edits
from webmail.models import Message

#: Reactions of one person to one message, the newest; and to the messages of a page by everybody, of which
#: each person's newest to each message go first.
MOST_OF_ONE = 10
MOST_REACTIONS = 1000
#: More than these are narrowed down by the database.
FEW = 200


@dataclass(frozen=True)
class Related:
    """``latest`` has what stands in the place of messages, reactions and quoted messages, by their keys;
    ``reactions`` those to each message, oldest first; ``quoted`` what a message answers; ``firsts`` what its
    topic began with, be it the message itself."""

    latest: dict[int, Message] = field(default_factory=dict)
    reactions: dict[int, list[Message]] = field(default_factory=dict)
    quoted: dict[int, Message] = field(default_factory=dict)
    firsts: dict[int, Message] = field(default_factory=dict)

    def newest(self, message: Message) -> Message:
        """The version of a message that counts."""
        return self.latest.get(message.pk, message)

    def to_read(self, messages: Sequence[Message]) -> list[Message]:
        """All that a page of these messages has to open, each once."""
        everything = [*messages, *_flat(self.reactions), *self.quoted.values(), *self.firsts.values()]
        return list({self.newest(one).pk: self.newest(one) for one in everything}.values())


def related_to(messages: Sequence[Message], *, with_quoted: bool = True) -> Related:
    """What belongs to these messages of one account, in at most three queries.

    What was forgotten here, has a signer who was not checked, or comes from somebody whom the account blocks,
    counts for nothing.
    """
    if not messages:
        return Related()
    reactions = _reactions(messages)
    quoted, firsts = _quoted_and_firsts(messages) if with_quoted else ({}, {})
    latest = newest_edits([*messages, *_flat(reactions), *quoted.values(), *firsts.values()])
    return Related(latest, reactions, quoted, firsts)


def version_of(message: Message, related: Related) -> str:
    """A short name of how a message looks now: another one once it, what it answers, or what its topic began
    with is edited, once what it answers comes or goes, once somebody reacts to it, and once a topic begins
    with it."""
    edit = related.latest.get(message.pk)
    reactions = related.reactions.get(message.pk, [])
    quoted = related.quoted.get(message.pk)
    quoted_edit = related.latest.get(quoted.pk) if quoted else None
    quotes_nothing = bool(message.in_reply_to) and quoted is None
    first = related.firsts.get(message.pk)
    if edit is None and quoted_edit is None and not quotes_nothing and not reactions and not message.topic:
        return ""
    parts = [
        edit.message_id if edit else "",
        "none" if quotes_nothing else quoted_edit.message_id if quoted_edit else "",
        related.newest(first).message_id if first else "",
        *(related.newest(one).message_id for one in reactions),
    ]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:8]


def _reactions(messages: Sequence[Message]) -> dict[int, list[Message]]:
    keys = {(message.conversation_id, message.message_id): message.pk for message in messages}
    conversations = list({message.conversation_id for message in messages})
    answered = list({message.message_id for message in messages})
    found: dict[int, list[Message]] = {}
    for row in sorted(_newest_of_each(conversations, answered), key=lambda row: (row.created_at, row.pk)):
        found.setdefault(keys[(row.conversation_id, row.in_reply_to)], []).append(row)
    return found


def _reactions_to(conversations: Sequence[int], answered: Sequence[str]) -> QuerySet[Message]:
    # As in edits.py, for the index of answers.
    return Message.objects.exclude(in_reply_to="").filter(
        conversation__in=conversations,
        in_reply_to__in=answered,
        shown=False,
        replaces="",
        forgotten_at=None,
        aside=Message.Aside.NO,
        trust__in=Message.VOUCHED_FOR,
    )


_FEW = PreparedRows(
    lambda conversations, answered: _reactions_to(conversations, answered).order_by()[: FEW + 1]
)


def _newest_of_each(conversations: Sequence[int], answered: Sequence[str]) -> list[Message]:
    """Of reactions to these messages the newest ones of each person to each."""
    # Most pages have so few that choosing here costs less than asking the database to choose.
    few = _FEW.rows(conversations, answered)
    if len(few) <= FEW:
        of_one: Counter[tuple[int, str, str]] = Counter()
        chosen = []
        for row in sorted(few, key=lambda row: (row.created_at, row.pk), reverse=True):
            of_whom = (row.conversation_id, row.in_reply_to, row.sender_did)
            of_one[of_whom] += 1
            if of_one[of_whom] <= MOST_OF_ONE:
                chosen.append(row)
        return chosen
    place = Window(
        RowNumber(),
        partition_by=[F("conversation"), F("in_reply_to"), F("sender_did")],
        order_by=[F("created_at").desc(), F("pk").desc()],
    )
    placed = _reactions_to(conversations, answered).annotate(place=place).filter(place__lte=MOST_OF_ONE)
    return list(placed.order_by("place", "-created_at", "-pk")[:MOST_REACTIONS])


def _quoted_and_firsts(messages: Sequence[Message]) -> tuple[dict[int, Message], dict[int, Message]]:
    """By the key of each message what it answers, and what its topic began with; what is on the page is taken
    from it. One query."""
    wanted = {(message.conversation_id, message.in_reply_to) for message in messages if message.in_reply_to}
    wanted |= {(message.conversation_id, message.topic) for message in messages if message.topic}
    known = {(message.conversation_id, message.message_id): message for message in messages}
    if missing := wanted - known.keys():
        rows = Message.objects.filter(
            account=messages[0].account_id,
            conversation__in={conversation for conversation, _id in missing},
            message_id__in={message_id for _conversation, message_id in missing},
            shown=True,
        )
        known |= {(row.conversation_id, row.message_id): row for row in rows}
    quoted = {message.pk: known.get((message.conversation_id, message.in_reply_to)) for message in messages}
    firsts = {message.pk: known.get((message.conversation_id, message.topic or "")) for message in messages}
    return _found(quoted), _found(firsts)


def _found(by_key: dict[int, Message | None]) -> dict[int, Message]:
    return {key: message for key, message in by_key.items() if message is not None}


def _flat(reactions: dict[int, list[Message]]) -> list[Message]:
    return [row for rows in reactions.values() for row in rows]
