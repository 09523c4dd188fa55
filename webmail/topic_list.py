"""The topics of a conversation, as its pages name and list them.

A topic goes by the first line of the message that it began with. Only the agent reads that, so names are
nowhere in the index.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Max, Q
from django.utils.translation import gettext as _

from accounts.models import Account
from crypto_agent.client import ReadMessage
from webmail import cursor_times
from webmail.models import Conversation, Message
from webmail.opened import read_messages
from webmail.quotes import beginning
from webmail.related import related_to
from webmail.thread_window import shown

#: Topics of one page, and characters of a name.
PAGE = 30
LONGEST_NAME = 100

_CURSOR = re.compile(rf"({cursor_times.PATTERN})-([0-9a-f]{{64}})", re.ASCII)


@dataclass(frozen=True)
class Topic:
    """A topic by its key; `begins` says that the message that has it is the one that it began with."""

    conversation_id: str
    key: str
    name: str
    begins: bool = False


@dataclass(frozen=True)
class Listed:
    """A topic with how many messages it has, and when the last one came."""

    topic: Topic
    count: int
    last: datetime


@dataclass(frozen=True)
class TopicList:
    topics: list[Listed]
    #: Pass as `after` for the next page; None where there is none.
    cursor: str | None


def name_in(read: ReadMessage | None) -> str:
    """What a topic is called whose first message, as it reads now, is this one; None where it is not here."""
    if read is None or read.error or read.tombstone:
        return _("A topic without a name")
    return beginning(read)[:LONGEST_NAME]


def names_of(account: Account, conversation: Conversation, keys: Collection[str]) -> dict[str, str]:
    """The names of topics of a conversation by their keys, in one call to the agent. Raises AgentLocked."""
    rows = Message.objects.filter(account=account, conversation=conversation, message_id__in=keys, shown=True)
    firsts = list(rows)
    related = related_to(firsts, with_quoted=False)
    newest = {message.message_id: related.newest(message).pk for message in firsts}
    read = read_messages(account, conversation, (related.newest(message) for message in firsts))
    return {key: name_in(read.get(newest.get(key, 0))) for key in keys}


def topic_of(account: Account, conversation: Conversation, key: str) -> Topic:
    """One topic with its name. Raises AgentLocked."""
    return Topic(conversation.conversation_id, key, names_of(account, conversation, [key])[key])


def topics_in(
    account: Account, conversation: Conversation, *, after: str = "", limit: int = PAGE
) -> TopicList:
    """The topics in which somebody wrote, the one with the newest message first; `after` is a cursor.

    A constant number of queries, and one call to the agent. Raises AgentLocked.
    """
    answer = Count("pk", filter=~Q(message_id=F("topic")))
    vouched_for = shown(conversation).filter(topic__isnull=False, trust__in=Message.VOUCHED_FOR)
    rows = vouched_for.order_by().values("topic")
    rows = rows.annotate(count=Count("pk"), answers=answer, last=Max("placed_at")).filter(answers__gt=0)
    if (place := cursor_in(after)) is not None:
        last, key = place
        rows = rows.filter(Q(last__lt=last) | Q(last=last, topic__lt=key))
    found = list(rows.order_by("-last", "-topic")[: limit + 1])
    page = [(row["topic"] or "", row["count"], row["last"]) for row in found[:limit]]
    names = names_of(account, conversation, [key for key, _count, _last in page])
    listed = [
        Listed(Topic(conversation.conversation_id, key, names[key]), count, last) for key, count, last in page
    ]
    return TopicList(listed, _cursor(listed[-1]) if len(found) > limit else None)


def names_by_message(
    messages: Collection[Message], firsts: Mapping[int, ReadMessage | None], conversation: Conversation
) -> dict[int, Topic]:
    """The topics of messages by their keys; `firsts` has what the topics began with, by the same keys."""
    return {
        message.pk: Topic(
            conversation.conversation_id,
            message.topic,
            name_in(firsts.get(message.pk)),
            begins=message.topic == message.message_id,
        )
        for message in messages
        if message.topic and message.trust in Message.VOUCHED_FOR
    }


def cursor_in(text: str) -> tuple[datetime, str] | None:
    """The last topic of a page, by its time and key, of an address; None for anything else."""
    found = _CURSOR.fullmatch(text)
    last = cursor_times.read(found[1]) if found else None
    return (last, found[2]) if found and last else None


def _cursor(last: Listed) -> str:
    return f"{cursor_times.written(last.last)}-{last.topic.key}"
