"""Topics: messages of a conversation that belong together (protocol §5, `topicId`).

By the format's convention a topic has the id of the message that it began with, which says nothing of it
itself. Other programs may have topics of any id, which could be words: of such an id the index has a digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from accounts.models import Account
from webmail.models import Message
from webmail.opened import read_messages

#: What `key_of` gives.
KEY = re.compile(r"[0-9a-f]{64}")
#: Hex of the first octet of every message id, which names its hash (protocol §6).
_OF_MESSAGE = "01"
_OF_OTHER_ID = "00"
_HEX_DIGITS = 64
#: Whose word begins a topic.
_COUNTS = Q(aside=Message.Aside.NO, trust__in=Message.VOUCHED_FOR)
#: What has a place of its own, or would have it if it were not set aside; whose it is plays no part.
_PLACED = Q(replaces="") & (Q(shown=True) | Q(aside__in=Message.WOULD_BE_SHOWN))


def key_of(conversation_id: str, topic_id: str | None) -> str | None:
    """What the index calls a topic: 64 hex digits, the id of the message that it began with if it is one.

    `topic_id` is that of a message's content, in hex; None outside of topics.
    """
    if not topic_id:
        return None
    if len(topic_id) == _HEX_DIGITS and topic_id.startswith(_OF_MESSAGE):
        return topic_id
    digest = hashlib.sha256(f"waxwing-topic/1 {conversation_id} {topic_id}".encode()).hexdigest()
    return _OF_OTHER_ID + digest[len(_OF_OTHER_ID) :]


def id_of(account: Account, topic: str) -> str | None:
    """The id that a message of a topic has to have in its content, in hex; None if that can't be read now.

    Raises AgentLocked if it was not known before that the keys are locked.
    """
    if topic.startswith(_OF_MESSAGE):
        return topic
    rows = Message.objects.filter(account=account, topic=topic, trust__in=Message.VOUCHED_FOR)
    message = rows.filter(forgotten_at=None).select_related("conversation").first()
    if message is None:
        return None
    read = read_messages(account, message.conversation, [message]).get(message.pk)
    return read.topic_id if read is not None else None


def answers_in(conversation_pk: int, topic: str) -> QuerySet[Message]:
    """The messages by whose word there is a topic: of people who are vouched for and not blocked."""
    return Message.objects.filter(_COUNTS, conversation=conversation_pk, topic=topic).exclude(
        message_id=topic
    )


def messages_of(conversation_pk: int, topic: str) -> Q:
    """What the page of a topic has, among the messages of its conversation.

    One query: a topic that nobody has answered in yet has no message but its first.
    """
    begun = answers_in(conversation_pk, topic).exists()
    return Q(topic=topic) if begun else Q(message_id=topic)


def begin(messages: Sequence[Message]) -> None:
    """Let the first message of a topic belong to it, whichever of the two was stored last.

    Call within a transaction for every message that has a place of its own, and again once it is vouched for;
    may run twice. The messages, of one account, are as before; their rows say what has begun.
    """
    if messages:
        named = [message.topic or message.message_id for message in messages]
        _begin(Message.objects.filter(account=messages[0].account_id, message_id__in=named))


def bring_in_line(answers: QuerySet[Message]) -> None:
    """Let what these messages of one account answer begin topics, or begin none any more, after they were
    set aside or taken back from there."""
    named = answers.filter(topic__isnull=False).values("topic")
    firsts = Message.objects.filter(account__in=answers.values("account"), message_id__in=named)
    _begin(firsts)
    firsts.filter(~Exists(_counting()), topic=F("message_id")).update(topic=None)


def _begin(firsts: QuerySet[Message]) -> None:
    firsts.filter(_PLACED, Exists(_counting()), topic=None).update(topic=F("message_id"))


def _counting() -> QuerySet[Message]:
    """The messages by whose word there is a topic that began with the one of the outer query."""
    same = Message.objects.filter(
        _COUNTS, conversation=OuterRef("conversation"), topic=OuterRef("message_id")
    )
    return same.exclude(message_id=OuterRef("message_id"))
