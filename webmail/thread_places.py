"""How messages stand among those around them: where days, runs of one person and what is unread begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import zip_longest

from django.utils import timezone

from webmail.models import Message

#: Messages of one person closer than this are one run.
RUN_SECONDS = 300


@dataclass(frozen=True)
class Place:
    """How a message stands among those before and after it."""

    first_of_run: bool
    last_of_run: bool
    day: date | None
    first_unread: bool


def places_of(messages: Sequence[Message], previous: Message | None, unread_before: bool) -> list[Place]:
    """Of messages that follow each other: where a day begins, where a run of one person begins and ends, and
    the first unread one. `previous` is the message that the page shows before these already."""
    places = []
    # Looked up once: it costs more than a day.
    zone = timezone.get_current_timezone()
    before, day_before = previous, timezone.localdate(previous.placed_at, zone) if previous else None
    unread_seen = unread_before
    for message, following in zip_longest(messages, messages[1:]):
        day = timezone.localdate(message.placed_at, zone)
        places.append(
            Place(
                first_of_run=before is None or day != day_before or not _same_run(before, message),
                last_of_run=following is None or not _same_run(message, following),
                day=day if day != day_before else None,
                first_unread=message.unread and not unread_seen,
            )
        )
        unread_seen = unread_seen or message.unread
        before, day_before = message, day
    return places


def place_alone(message: Message, previous: Message | None) -> Place:
    """Of a message that comes without those around it."""
    return replace(places_of([message], previous, True)[0], day=None)


def _same_run(one: Message, next_one: Message) -> bool:
    """Whether messages follow each other as one run."""
    same = one.sender_did == next_one.sender_did
    return same and (next_one.placed_at - one.placed_at).total_seconds() < RUN_SECONDS
