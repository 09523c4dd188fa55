"""What a conversation page shows: messages with their text, in order, with days and runs marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError, ReadMessage, SealedContent
from webmail import progress, reasons
from webmail.conversations import ConversationRow, NotFound, row
from webmail.edits import newest_edits
from webmail.models import Conversation, Message
from webmail.people import Person, people_of
from webmail.text import Segment, is_emoji_only, segments_of

#: Messages of one person closer than this are one run.
RUN_SECONDS = 300


@dataclass(frozen=True)
class FilePart:
    """A file that a message names; it is not opened here yet."""

    name: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Entry:
    """One message of a thread. `shut` says why its text is not shown; everything else may be shown."""

    id: str
    own: bool
    sender: Person
    segments: list[Segment]
    files: list[FilePart]
    emoji_only: bool
    degraded: bool
    tombstone: bool
    edited: bool
    shut: str | None
    created_at: datetime
    placed_at: datetime
    trust: str
    state: progress.Progress | None
    first_of_run: bool = True
    last_of_run: bool = True
    day: date | None = None
    first_unread: bool = False
    can_retry: bool = field(default=False)

    @property
    def vouched_for(self) -> bool:
        """Whether it may be called signed."""
        return self.trust in Message.VOUCHED_FOR


@dataclass(frozen=True)
class Thread:
    conversation: ConversationRow
    entries: list[Entry]
    #: Pass as `before` for older messages; None at the beginning.
    older_cursor: str | None


def thread(
    account: Account, conversation: Conversation, *, before: str | None = None, limit: int = 50
) -> Thread:
    """The newest messages of a conversation, or those before the message with the hex id `before`."""
    rows = _shown(conversation)
    if before:
        edge = _find(account, before)
        rows = rows.filter(placed_at__lte=edge.placed_at).exclude(pk__gte=edge.pk, placed_at=edge.placed_at)
    found = list(rows.order_by("-placed_at", "-pk")[: limit + 1])
    older, found = len(found) > limit, found[:limit][::-1]
    entries = _entries(account, conversation, found)
    return Thread(
        conversation=row(account, conversation),
        entries=entries,
        older_cursor=found[0].message_id if older else None,
    )


def entries_after(account: Account, conversation: Conversation, after: str) -> list[Entry]:
    """What came after the message with the hex id `after`; everything recent when that is not known."""
    rows = _shown(conversation)
    edge = rows.filter(message_id=after).first()
    if edge is None:
        return thread(account, conversation).entries
    found = rows.filter(placed_at__gte=edge.placed_at).exclude(pk__lte=edge.pk, placed_at=edge.placed_at)
    with_edge = [edge, *found.order_by("placed_at", "pk")[:200]]
    return _entries(account, conversation, with_edge)[1:]


def entry(account: Account, message_id: str) -> Entry:
    """One message as its thread shows it. Raises NotFound."""
    message = _find(account, message_id)
    return _entries(account, message.conversation, [message])[0]


def _find(account: Account, message_id: str) -> Message:
    found = (
        Message.objects.filter(account=account, message_id=message_id)
        .select_related("conversation")
        .prefetch_related("deliveries")
        .first()
    )
    if found is None:
        raise NotFound(message_id)
    return found


def _shown(conversation: Conversation) -> QuerySet[Message]:
    rows = Message.objects.filter(conversation=conversation, shown=True, replaces="")
    return rows.prefetch_related("deliveries")


def _entries(account: Account, conversation: Conversation, messages: Sequence[Message]) -> list[Entry]:
    latest = newest_edits(messages)
    read = _read(account, conversation, [latest.get(message.pk, message) for message in messages])
    people = people_of([*conversation.participants, *(message.sender_did for message in messages)])
    entries = [
        _entry(message, latest.get(message.pk), read.get(latest.get(message.pk, message).pk), people)
        for message in messages
    ]
    return _with_runs(entries, messages)


def _read(
    account: Account, conversation: Conversation, messages: Iterable[Message]
) -> dict[int, ReadMessage]:
    """The plaintext of what may be shown; nothing when the agent does not answer."""
    readable = [m for m in messages if m.trust in Message.VOUCHED_FOR]
    items = [
        SealedContent(conversation.conversation_id, message.message_id, bytes(message.sealed))
        for message in readable
    ]
    try:
        answers = agent().read(account.did, items) if items else []
    except AgentError:
        return {}
    return {message.pk: answer for message, answer in zip(readable, answers, strict=True)}


def _entry(
    message: Message, edit: Message | None, read: ReadMessage | None, people: Mapping[str, Person]
) -> Entry:
    own = message.direction == Message.Direction.OUT
    shut = _why_shut(message, read)
    text = "" if read is None or shut else (read.text or read.fallback or "")
    return Entry(
        id=message.message_id,
        own=own,
        sender=people[message.sender_did],
        segments=segments_of(text, read.facets if read and read.text else ()),
        files=[] if read is None or shut else _files(read),
        emoji_only=is_emoji_only(text),
        degraded=bool(read and read.degraded),
        tombstone=bool(read and read.tombstone),
        edited=edit is not None and not (read and read.tombstone),
        shut=shut,
        created_at=message.created_at,
        placed_at=message.placed_at,
        trust=message.trust,
        state=progress.of_message(message, people) if own and message.deliveries.all() else None,
        first_unread=False,
        can_retry=message.trust == Message.Trust.UNCHECKED,
    )


def _why_shut(message: Message, read: ReadMessage | None) -> str | None:
    if message.trust in (Message.Trust.UNCHECKED, Message.Trust.REFUSED):
        return reasons.of_kept_aside(message.trust_code)
    if read is None:
        return reasons.of_kept_aside("agent-unavailable")
    return reasons.of_kept_aside(read.error) if read.error else None


def _files(read: ReadMessage) -> list[FilePart]:
    return [
        FilePart(
            name=_text(part.get("filename")),
            media_type=_text(part.get("contentType")) or _text(part.get("mediaType")),
            size=_size(part),
        )
        for part in read.parts
        if part.get("kind") == 3
    ]


def _text(value: object) -> str:
    # A sender may add fields of any type and name.
    return value if isinstance(value, str) else ""


def _size(part: Mapping[str, Any]) -> int:
    """The octets of a file: of its data where that came along, else as its sender says."""
    data, said = part.get("data"), part.get("size")
    if isinstance(data, bytes):
        return len(data)
    return said if isinstance(said, int) and not isinstance(said, bool) else 0


def _with_runs(entries: Sequence[Entry], messages: Sequence[Message]) -> list[Entry]:
    """Mark where a day begins, where a run of one person begins and ends, and the first unread one."""
    marked = []
    unread_seen = False
    for position, (entry, message) in enumerate(zip(entries, messages, strict=True)):
        before = entries[position - 1] if position else None
        after = entries[position + 1] if position + 1 < len(entries) else None
        today = timezone.localdate(entry.placed_at)
        new_day = before is None or timezone.localdate(before.placed_at) != today
        first_unread = message.unread and not unread_seen
        unread_seen = unread_seen or message.unread
        marked.append(
            replace(
                entry,
                first_of_run=before is None or new_day or not _same_run(before, entry),
                last_of_run=after is None or not _same_run(entry, after),
                day=today if new_day else None,
                first_unread=first_unread,
            )
        )
    return marked


def _same_run(one: Entry, next_one: Entry) -> bool:
    gap = (next_one.placed_at - one.placed_at).total_seconds()
    return one.sender.did == next_one.sender.did and gap < RUN_SECONDS
