"""The conversations of an account and their messages, as its pages show them, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import Account
from crypto_agent.client import AgentClient, ReadMessage, SealedContent
from webmail import groups
from webmail.blobs.fetching import files_in
from webmail.conversations import title_of
from webmail.models import Conversation, Delivery, Message, Receipt
from webmail.people import Person, people_of
from webmail.reactions import emoji_of
from webmail.readable_export.values import (
    State,
    Way,
    WrittenConversation,
    WrittenMessage,
    WrittenReaction,
)
from webmail.related import Related, related_to
from webmail.thread_window import shown
from webmail.threads import written_text
from webmail.typed_text import typed

#: Messages in memory at a time.
BATCH = 20


@dataclass(frozen=True, repr=False)
class Reader:
    """What the agent permits to read for one export. Its calls raise AgentError."""

    account: Account
    agent: AgentClient
    permit: bytes

    def read(self, items: Sequence[tuple[str, Message]]) -> dict[int, ReadMessage]:
        """The plaintext of messages, each with the id of its conversation, by their keys."""
        contents = [content_of(place, message) for place, message in items]
        answers = self.agent.read_for_export(self.account.did, self.permit, contents) if contents else []
        return {message.pk: answer for (_, message), answer in zip(items, answers, strict=True)}


def content_of(conversation_id: str, message: Message) -> SealedContent:
    return SealedContent(conversation_id, message.message_id, bytes(message.sealed))


def conversations_of(account: Account) -> QuerySet[Conversation]:
    """Those that the account agreed to, and requests; not what was declined or what a block leaves out."""
    standing = Conversation.Standing
    rows = Conversation.objects.filter(
        account=account, blocked=False, standing__in=(standing.ACCEPTED, standing.REQUEST)
    ).filter(last_message__isnull=False)
    return rows.select_related("named_by").order_by("-last_activity", "-pk")


def written_conversation(reader: Reader, row: Conversation) -> WrittenConversation:
    """A conversation without its messages. Raises AgentError."""
    account = reader.account
    people = people_of([*row.participants, account.did])
    name = ""
    if row.named_by is not None and groups.is_group(row):
        name = groups.name_in(reader.read([(row.conversation_id, row.named_by)])[row.named_by.pk])
    return WrittenConversation(
        id=row.conversation_id,
        title=name or title_of(account, row, people),
        people={did: people[did] for did in row.participants},
        own_did=account.did,
        accepted=row.standing == Conversation.Standing.ACCEPTED,
        started_by=row.started_by,
    )


@dataclass(frozen=True, repr=False)
class Batch:
    """Messages in their order, the rows that hold what they say now, and what those say."""

    rows: Sequence[Message]
    related: Related
    read: Mapping[int, ReadMessage]
    people: Mapping[str, Person]
    ways: Mapping[int, Sequence[Way]]


def batches(reader: Reader, row: Conversation) -> Iterator[Batch]:
    """The messages of a conversation, the oldest first. Raises AgentError."""
    last: Message | None = None
    while True:
        # What is prefetched refers to its message and keeps it in memory until the collector runs.
        rows = shown(row).order_by("placed_at", "pk")
        if last is not None:
            later = Q(placed_at__gt=last.placed_at) | Q(placed_at=last.placed_at, pk__gt=last.pk)
            rows = rows.filter(later)
        messages = list(rows[:BATCH])
        if not messages:
            return
        last = messages[-1]
        yield _batch(reader, row, messages)


def _batch(reader: Reader, row: Conversation, messages: Sequence[Message]) -> Batch:
    related = related_to(messages, with_quoted=False)
    wanted = [
        (row.conversation_id, message)
        for message in related.to_read(messages)
        if message.trust in Message.VOUCHED_FOR and not _disappears(message)
    ]
    read = reader.read(wanted)
    reacting = {each.sender_did for rows in related.reactions.values() for each in rows}
    authors = {message.sender_did for message in messages}
    people = people_of({*row.participants, *authors, *reacting})
    return Batch(messages, related, read, people, _ways(messages))


def written_message(batch: Batch, row: Message, own_did: str) -> WrittenMessage:
    """One message of a batch."""
    read = batch.read.get(batch.related.newest(row).pk)
    state, reason = _state(row, read)
    message = WrittenMessage(
        id=row.message_id,
        by=batch.people[row.sender_did],
        own=row.sender_did == own_did,
        created_at=row.created_at,
        placed_at=row.placed_at,
        checked=row.trust in Message.VOUCHED_FOR,
        state=state,
        reason=reason,
        in_reply_to=row.in_reply_to,
        topic=row.topic or "",
        ways=batch.ways.get(row.pk, ()),
    )
    # What is taken back or said to disappear was read too, and nothing of it is given out.
    return _with_content(message, batch, row, read) if read and state == "open" else message


def _with_content(message: WrittenMessage, batch: Batch, row: Message, read: ReadMessage) -> WrittenMessage:
    text = written_text(read)
    facets = read.facets if text else ()
    edit = batch.related.latest.get(row.pk)
    return replace(
        message,
        text=text,
        typed=typed(text, facets, batch.people),
        facets=facets,
        preview=read.preview,
        event=groups.event_words(row, read, batch.people) if row.changes_group else "",
        group_name=groups.name_in(read) or None if row.changes_group else None,
        edited_at=edit.created_at if edit else None,
        reactions=_reactions(batch, row),
        files=files_in(read.parts),
    )


def _disappears(message: Message) -> bool:
    return bool(message.expires_after or message.expires_at)


def _state(row: Message, read: ReadMessage | None) -> tuple[State, str]:
    if row.trust not in Message.VOUCHED_FOR:
        return "not-open", row.trust_code
    # A newer version may ask to disappear where the first did not; that one was not read.
    if read is None or read.expires is not None:
        return "disappears", ""
    if read.error:
        return "not-open", read.error
    return ("taken-back", "") if read.tombstone else ("open", "")


def _reactions(batch: Batch, row: Message) -> list[WrittenReaction]:
    return [
        WrittenReaction(emoji, batch.people[each.sender_did], each.created_at)
        for each in batch.related.reactions.get(row.pk, [])
        for emoji in emoji_of(each, batch.related, batch.read)
    ]


def _ways(messages: Sequence[Message]) -> dict[int, list[Way]]:
    """How far the sent ones among the messages came, by their keys; deliveries to oneself do not count."""
    own = {row.pk: row.sender_did for row in messages if row.direction == Message.Direction.OUT}
    opened: dict[tuple[int, str], datetime] = {}
    read: dict[tuple[int, str], datetime] = {}
    for receipt in Receipt.objects.filter(message__in=own).order_by("-opened_at"):
        key = receipt.message_id, receipt.recipient_did
        opened[key] = receipt.opened_at
        if receipt.read_at is not None:
            read[key] = min(receipt.read_at, read.get(key, receipt.read_at))
    found: dict[int, list[Way]] = {}
    for delivery in Delivery.objects.filter(message__in=own).order_by("pk"):
        key = delivery.message_id, delivery.recipient_did
        if delivery.recipient_did != own[delivery.message_id]:
            way = Way(delivery.recipient_did, delivery.state, opened.get(key), read.get(key))
            found.setdefault(delivery.message_id, []).append(way)
    return found
