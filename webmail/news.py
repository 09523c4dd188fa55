"""What an open conversation page does not show yet, given what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from accounts.models import Account
from webmail import progress, thread_window, threads
from webmail.models import Conversation, Message
from webmail.people import Person, people_of
from webmail.related import Related, related_to, version_of
from webmail.threads import Entry

#: How far back from the newest message a page is kept current.
WINDOW = 50
#: Hex digits of a message id by which a page names what it shows.
PREFIX = 16
#: Mark of a received message whose signer was not checked yet.
UNCHECKED = "u"
#: Mark of a received message that the agent did not open for the page.
NOT_OPENED = "w"
#: Messages let go of that a page is told about.
MOST_GONE = 100


@dataclass(frozen=True)
class MessageState:
    """The line under a bubble, without its text. `state` is None for a received message."""

    id: str
    own: bool
    sender: Person
    trust: str
    created_at: datetime
    state: progress.Progress | None
    edited: bool = False
    saved: bool = False
    disappears: bool = False
    version: str = ""
    #: Whether it is a line in the place of a bubble, which has none under it.
    event: bool = False
    #: Such a line is never under what the agent did not open: the whole entry takes its place.
    waits: bool = False

    @property
    def vouched_for(self) -> bool:
        """Whether it may be called signed."""
        return self.trust in Message.VOUCHED_FOR


@dataclass(frozen=True)
class Late:
    """An entry whose place is before one that the page shows already."""

    entry: Entry
    before: str


@dataclass(frozen=True)
class News:
    """`gap` says that too much is missing: load the page again."""

    later: list[Entry] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    states: list[MessageState] = field(default_factory=list)
    #: Entries that were checked, edited, taken back or reacted to.
    changed: list[Entry] = field(default_factory=list)
    #: Ids of messages that are shown no more.
    gone: list[str] = field(default_factory=list)
    gap: bool = False

    @property
    def ids(self) -> list[str]:
        """Of the messages that the page is about to show, and that the agent opened."""
        entries = (*self.later, *(each.entry for each in self.late), *self.changed)
        return [entry.id for entry in entries if not entry.waits]

    def __bool__(self) -> bool:
        return bool(self.later or self.late or self.states or self.changed or self.gone or self.gap)


def mark_of(entry: Entry | MessageState) -> str:
    """What a page remembers of a message, to be told when it is another one: its state and its version, or of
    a received one why it is shut."""
    shut = UNCHECKED if entry.trust == Message.Trust.UNCHECKED else NOT_OPENED if entry.waits else ""
    mark = entry.state.mark if entry.state else shut
    return f"{mark}.{entry.version}" if entry.version else mark


def to_be_seen(shown: Mapping[str, str]) -> set[str]:
    """Of what a page shows, as for ``news``, all but what the agent did not open for it."""
    return {prefix for prefix, mark in shown.items() if _mark_alone(mark) != NOT_OPENED}


def _mark_alone(mark: str) -> str:
    """Without the version."""
    return mark.partition(".")[0]


def news(account: Account, conversation: Conversation, shown: Mapping[str, str], *, topic: str = "") -> News:
    """What is new to a page of a conversation, or of one topic of it. `shown` maps the id prefixes of its
    newest messages to their marks.

    Nothing is opened when nothing is missing or was not opened before: at most ten queries then, and no call
    to the agent.
    """
    placed = _recent(conversation, topic)
    recent = list(placed)
    missing = [message_id for message_id in recent if message_id[:PREFIX] not in shown]
    here = {message_id[:PREFIX] for message_id in recent}
    gone = [] if here.issuperset(shown) else let_go(conversation, shown)
    if shown and recent and len(missing) == len(recent) and not gone:
        return News(gap=True)
    later, late = _in_place(account, conversation, recent, missing, topic)
    if any(not _same_day(each.entry.placed_at, placed[each.before]) for each in late):
        # Its place is above the line that names the day of what follows, and it may need one of its own.
        return News(gap=True)
    states = _changed(conversation, recent, shown)
    alone = [state for state in states if _is_alone(shown[state.id[:PREFIX]], state)]
    whole = [state.id for state in states if state not in alone]
    changed = threads.entries_of(account, conversation, whole, topic=topic) if whole else []
    return News(
        later=later,
        late=late,
        states=alone,
        changed=[entry for entry in changed if shown[entry.id[:PREFIX]] != mark_of(entry)],
        gone=gone,
    )


def _is_alone(mark: str, state: MessageState) -> bool:
    """Whether only the line under the bubble changed."""
    before, _point, version = mark.partition(".")
    return not state.event and before not in (UNCHECKED, NOT_OPENED) and version == state.version


def let_go(conversation: Conversation, shown: Mapping[str, str]) -> list[str]:
    """The ids of what a page shows and the account let go of, in one query. `shown` is as for `news`."""
    rows = Message.objects.filter(conversation=conversation, forgotten_at__isnull=False, replaces="")
    newest = rows.order_by("-forgotten_at").values_list("message_id", flat=True)[:MOST_GONE]
    return [message_id for message_id in newest if message_id[:PREFIX] in shown]


def _recent(conversation: Conversation, topic: str) -> dict[str, datetime]:
    """The newest messages by id, with their times, the newest last."""
    newest_first = (
        thread_window.shown(conversation, topic)
        .order_by("-placed_at", "-pk")
        .values_list("message_id", "placed_at")[:WINDOW]
    )
    return dict(list(newest_first)[::-1])


def _same_day(one: datetime, other: datetime) -> bool:
    """Whether they are on one day in the time zone of whoever looks."""
    return timezone.localdate(one) == timezone.localdate(other)


def _in_place(
    account: Account,
    conversation: Conversation,
    recent: Sequence[str],
    missing: Sequence[str],
    topic: str,
) -> tuple[list[Entry], list[Late]]:
    """What belongs after all that the page shows, and what between: mail may be opened out of order."""
    known = [message_id for message_id in recent if message_id not in missing]
    if not known:
        newest = thread_window.At(topic=topic)
        return (threads.thread(account, conversation, newest, limit=WINDOW).entries if missing else []), []
    last = recent.index(known[-1])
    later = (
        threads.entries_after(account, conversation, known[-1], topic=topic)
        if missing and recent[-1] in missing
        else []
    )
    late = [
        Late(threads.entry(account, message_id, topic=topic), _next_known(recent, position, known))
        for position, message_id in enumerate(recent[:last])
        if message_id in missing
    ]
    return later, late


def _next_known(recent: Sequence[str], position: int, known: Sequence[str]) -> str:
    return next(message_id for message_id in recent[position:] if message_id in known)


def _changed(
    conversation: Conversation, recent: Sequence[str], shown: Mapping[str, str]
) -> list[MessageState]:
    """The messages that the page shows with a mark that is not theirs any more."""
    on_page = [message_id for message_id in recent if message_id[:PREFIX] in shown]
    account = conversation.account_id
    rows = Message.objects.filter(account=account, conversation=conversation, message_id__in=on_page)
    messages = list(rows) if on_page else []
    progress.prefetch(messages)
    related = related_to(messages)
    progress.prefetch_versions(messages, related.latest)
    people = people_of([*conversation.participants, *(message.sender_did for message in messages)])
    states = [_state(message, conversation, related, people) for message in messages]
    return [state for state in states if mark_of(state) != shown[state.id[:PREFIX]]]


def _state(
    message: Message, conversation: Conversation, related: Related, people: Mapping[str, Person]
) -> MessageState:
    own = message.direction == Message.Direction.OUT
    return MessageState(
        id=message.message_id,
        own=own,
        sender=people[message.sender_did],
        trust=message.trust,
        created_at=message.created_at,
        state=threads.state_of(message, conversation, people),
        edited=message.pk in related.latest,
        saved=message.saved_at is not None,
        disappears=bool(message.expires_after or message.expires_at),
        version=version_of(message, related),
        event=bool(message.changes_group),
    )
