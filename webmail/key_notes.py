"""What a thread says of changed keys and handles, between its messages, of people compared or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.handles import INVALID_HANDLE
from accounts.models import Account, PeerEvent
from accounts.prepared_rows import PreparedRows
from webmail.models import Conversation, Message
from webmail.people import Person, people_of
from webmail.thread_window import Window, shown

Kind = PeerEvent.Kind

#: Lines between two messages, and changes of one conversation that are looked at; the rest is on the
#: person's page.
MOST_NOTES = 5
MOST_EVENTS = 200

_NEWEST = PreparedRows(
    lambda dids, since: (
        PeerEvent.objects.filter(
            peer__did__in=dids, kind__in=(*PeerEvent.NEW_KEYS, Kind.HANDLE), at__gt=since
        )
        .select_related("peer")
        .order_by("-at", "-pk")[:MOST_EVENTS]
    )
)


@dataclass(frozen=True)
class KeyNote:
    """What was seen at `at`: a device of `person` for the first time, or `back` again; or, where there is a
    `handle`, that it took the place of `former`."""

    person: Person
    at: datetime
    back: bool = False
    former: str = ""
    handle: str = ""


def events_in(account: Account, conversation: Conversation) -> list[PeerEvent]:
    """The devices and handles that turned up while a conversation went on, in their order."""
    others = [did for did in conversation.participants if did != account.did]
    return _without_lapses(_NEWEST.rows(others, conversation.created_at)[::-1])


def _without_lapses(events: Sequence[PeerEvent]) -> list[PeerEvent]:
    """Events in their order, without handles that only did not lead to their DID for a while.

    A handle that follows such a while has the one before it as its former one, if that is known.
    """
    held: dict[int, str] = {}
    kept = []
    for event in events:
        if event.kind != Kind.HANDLE:
            kept.append(event)
            continue
        if event.former != INVALID_HANDLE:
            held[event.peer_id] = event.former
        if event.subject == INVALID_HANDLE:
            continue
        former = held.get(event.peer_id, "")
        held[event.peer_id] = event.subject
        if former and former != event.subject:
            event.former = former
            kept.append(event)
    return kept


def notes_before(
    conversation: Conversation,
    events: Sequence[PeerEvent],
    messages: Sequence[Message],
    found: Window,
) -> dict[int, tuple[KeyNote, ...]]:
    """What changed before each message of a page since the one before it, by the messages' keys."""
    if not events or not messages:
        return {}
    since = _end_of_page_before(conversation, found)
    left = [event for event in events if since is None or event.at > since]
    people = people_of(event.peer.did for event in left)
    notes: dict[int, tuple[KeyNote, ...]] = {}
    for message in messages:
        before = [event for event in left if event.at <= message.placed_at]
        left = left[len(before) :]
        if before:
            notes[message.pk] = _notes(before, people)
    return notes


def notes_at_end(conversation: Conversation, events: Sequence[PeerEvent]) -> tuple[KeyNote, ...]:
    """What changed since the newest message."""
    later = [event for event in events if event.at > conversation.last_activity]
    return _notes(later, people_of(event.peer.did for event in later)) if later else ()


def _end_of_page_before(conversation: Conversation, found: Window) -> datetime | None:
    if found.previous is not None:
        return found.previous.placed_at
    earlier = shown(conversation).filter(placed_at__lt=found.messages[0].placed_at)
    return earlier.order_by("-placed_at").values_list("placed_at", flat=True).first()


def _notes(events: Sequence[PeerEvent], people: Mapping[str, Person]) -> tuple[KeyNote, ...]:
    return tuple(_note(event, people[event.peer.did]) for event in events[-MOST_NOTES:])


def _note(event: PeerEvent, person: Person) -> KeyNote:
    if event.kind == Kind.HANDLE:
        return KeyNote(person, event.at, former=event.former, handle=event.subject)
    return KeyNote(person, event.at, back=event.kind == Kind.DEVICE_BACK)
