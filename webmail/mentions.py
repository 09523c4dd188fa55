"""Mentions of the account in what others wrote in groups: which messages stand so, and how many are unread.

A message's row says of one version whether a facet of its text names the account; the newest version counts,
as it does for the text. Between two people everything is meant for the account: no mention counts there, and
none gets through where the other person is muted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from django.db.models import BooleanField, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from webmail.edits import newest_edits
from webmail.groups import is_group
from webmail.models import Conversation, Message

#: Up to how many are counted in a conversation, whose pages say "99+" then.
MOST = 100


def mentioning(messages: Sequence[Message]) -> set[int]:
    """The keys of those of these messages that mention the account as they stand. One query."""
    counted = [
        message
        for message in messages
        if message.direction == Message.Direction.IN
        and message.trust in Message.VOUCHED_FOR
        and message.shown
        and not message.replaces
    ]
    edits = newest_edits(counted)
    return {message.pk for message in counted if edits.get(message.pk, message).mentions_account}


class _UpTo(Subquery):
    """How many rows a query finds, which ends at its limit."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS found)"
    output_field = IntegerField()


def unread_in(conversations: Iterable[Conversation]) -> Mapping[int, int]:
    """By conversations' keys, how many of their unread messages mention the account, MOST where there are
    more; 0 for others. One query at most, however many there are, which looks at no more than it counts."""
    keys = [conversation.pk for conversation in conversations if is_group(conversation)]
    if not keys:
        return Counter()
    found = _unread().filter(conversation=OuterRef("pk")).order_by().values("pk")[:MOST]
    rows = Conversation.objects.filter(pk__in=keys).order_by().annotate(number=_UpTo(found))
    return Counter(dict(rows.values_list("pk", "number")))


def first_unread(conversation: Conversation) -> str | None:
    """The id (hex) of the oldest unread message of a conversation that mentions the account. One query, and
    none where its row says that there is no such message."""
    if not conversation.unread_mentions:
        return None
    found = _unread().filter(conversation=conversation).order_by("placed_at", "pk")
    return found.values_list("message_id", flat=True).first()


def _unread() -> QuerySet[Message]:
    """Unread messages that mention the account as they stand; the same as ``mentioning``, by the database."""
    # That none replaces nothing lets SQLite take the index of versions.
    versions = (
        Message.objects.exclude(replaces="")
        .filter(
            conversation=OuterRef("conversation"),
            replaces=OuterRef("message_id"),
            sender_did=OuterRef("sender_did"),
            trust__in=Message.VOUCHED_FOR,
            aside=Message.Aside.NO,
        )
        .order_by("-created_at", "-pk")
    )
    newest = Subquery(versions.values("mentions_account")[:1])
    return Message.objects.filter(
        direction=Message.Direction.IN,
        trust__in=Message.VOUCHED_FOR,
        shown=True,
        replaces="",
        unread=True,
    ).filter(Coalesce(newest, F("mentions_account"), output_field=BooleanField()))


def note(conversation: Conversation, count: int) -> None:
    """Set how many unread messages mention the account after something came, for the caller to save with
    `archived_at`: one more brings an archived conversation back, muted or not, unless mentions are muted
    there too, or it was left."""
    more = count > conversation.unread_mentions or count == MOST
    if more and not conversation.mentions_muted and not conversation.left_at:
        conversation.archived_at = None
    conversation.unread_mentions = count


def recount(conversation: Conversation) -> int:
    """Let the conversation's row say how many of its unread messages mention the account, after these were
    marked, and say it. The row has to be locked."""
    count = unread_in([conversation])[conversation.pk]
    Conversation.objects.filter(pk=conversation.pk).update(unread_mentions=count)
    return count


def changed_by(messages: Sequence[Message], conversations: Mapping[int, Conversation]) -> set[int]:
    """The keys of those of the conversations in which another number of messages may mention the account
    since these were stored. One query at most."""
    theirs = [
        message
        for message in messages
        if message.direction == Message.Direction.IN and is_group(conversations[message.conversation_id])
    ]
    changed = {
        message.conversation_id
        for message in theirs
        if message.mentions_account
        or (message.replaces and conversations[message.conversation_id].unread_mentions)
    }
    others = [message for message in theirs if message.unread and message.conversation_id not in changed]
    if others:
        # An edit may come before what it edits.
        early = Message.objects.filter(
            conversation__in={message.conversation_id for message in others},
            replaces__in=[message.message_id for message in others],
            mentions_account=True,
        )
        changed |= set(early.order_by().values_list("conversation_id", flat=True))
    return changed


def begun_by(messages: Sequence[Message]) -> bool:
    """Whether an unread message mentions the account since these messages came, one of them or one that they
    edit, and never did before. So each is told once, however often it is edited."""
    names = {message.replaces or message.message_id for message in messages}
    unread = Message.objects.filter(
        conversation__in={message.conversation_id for message in messages},
        message_id__in=names,
        unread=True,
    )
    originals = list(unread.defer("sealed", "sender_certificate_pem"))
    mention = mentioning(originals)
    new = {message.pk for message in messages}
    before = [message for message in originals if message.pk in mention and message.pk not in new]
    if len(before) < len(mention):
        return True
    of_them = Message.objects.filter(
        Q(pk__in=mention) | Q(replaces__in=[message.message_id for message in before]),
        conversation__in={message.conversation_id for message in before},
        mentions_account=True,
    )
    told = set(of_them.exclude(pk__in=new).values_list("replaces", "message_id", "sender_did"))
    named = {(replaces or message_id, sender) for replaces, message_id, sender in told}
    return any((message.message_id, message.sender_did) not in named for message in before)
