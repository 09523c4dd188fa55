"""What an open conversation page does not show yet, given what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from accounts.models import Account
from webmail import progress, threads
from webmail.models import Conversation, Message
from webmail.people import Person, people_of
from webmail.threads import Entry

#: How far back from the newest message a page is kept current.
WINDOW = 50
#: Hex digits of a message id by which a page names what it shows.
PREFIX = 16
#: Mark of a received message whose signer was not checked yet.
UNCHECKED = "u"


@dataclass(frozen=True)
class MessageState:
    """The line under a bubble, without its text. `state` is None for a received message."""

    id: str
    own: bool
    sender: Person
    trust: str
    created_at: datetime
    state: progress.Progress | None

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
    checked: list[Entry] = field(default_factory=list)
    gap: bool = False

    def __bool__(self) -> bool:
        return bool(self.later or self.late or self.states or self.checked or self.gap)


def mark_of(state: progress.Progress | None, trust: str) -> str:
    """What a page remembers of a message's state, to be told when it is another one."""
    if state:
        return f"{state.steps}f" if state.failure else f"{state.steps}"
    return UNCHECKED if trust == Message.Trust.UNCHECKED else ""


def news(account: Account, conversation: Conversation, shown: Mapping[str, str]) -> News:
    """What is new to a page. `shown` maps the id prefixes of its newest messages to their marks.

    Nothing is opened when nothing is missing: four queries then, and no call to the agent.
    """
    recent = _recent(conversation)
    missing = [message_id for message_id in recent if message_id[:PREFIX] not in shown]
    if shown and recent and len(missing) == len(recent):
        return News(gap=True)
    later, late = _in_place(account, conversation, recent, missing)
    changed = _changed(conversation, recent, shown)
    return News(
        later=later,
        late=late,
        states=[state for state in changed if shown[state.id[:PREFIX]] != UNCHECKED],
        checked=[
            threads.entry(account, state.id) for state in changed if shown[state.id[:PREFIX]] == UNCHECKED
        ],
    )


def _recent(conversation: Conversation) -> list[str]:
    rows = Message.objects.filter(conversation=conversation, shown=True, replaces="")
    newest_first = rows.order_by("-placed_at", "-pk").values_list("message_id", flat=True)[:WINDOW]
    return list(newest_first)[::-1]


def _in_place(
    account: Account, conversation: Conversation, recent: Sequence[str], missing: Sequence[str]
) -> tuple[list[Entry], list[Late]]:
    """What belongs after all that the page shows, and what between: mail may be opened out of order."""
    known = [message_id for message_id in recent if message_id not in missing]
    if not known:
        return (threads.thread(account, conversation, limit=WINDOW).entries if missing else []), []
    last = recent.index(known[-1])
    later = (
        threads.entries_after(account, conversation, known[-1]) if missing and recent[-1] in missing else []
    )
    late = [
        Late(threads.entry(account, message_id), _next_known(recent, position, known))
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
    marked = [message_id for message_id in recent if shown.get(message_id[:PREFIX])]
    rows = Message.objects.filter(conversation=conversation, message_id__in=marked)
    messages = list(rows.prefetch_related("deliveries")) if marked else []
    people = people_of([*conversation.participants, *(message.sender_did for message in messages)])
    states = [_state(message, people) for message in messages]
    return [state for state in states if mark_of(state.state, state.trust) != shown[state.id[:PREFIX]]]


def _state(message: Message, people: Mapping[str, Person]) -> MessageState:
    own = message.direction == Message.Direction.OUT
    return MessageState(
        id=message.message_id,
        own=own,
        sender=people[message.sender_did],
        trust=message.trust,
        created_at=message.created_at,
        state=progress.of_message(message, people) if own and message.deliveries.all() else None,
    )
