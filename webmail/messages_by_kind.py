"""Messages of a page that differ in nothing but id, text and time: one of each kind is rendered with
stand-ins, in the places of which each has its own.

A page has fifty messages of a few kinds. The template says once for a kind where what goes; the text is
escaped as it is there. Nothing is kept beyond one answer.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Hashable
from dataclasses import fields, replace
from datetime import UTC, datetime, tzinfo
from operator import itemgetter
from typing import Self

from django.utils import timezone
from markupsafe import Markup, escape

from webmail.news import PREFIX
from webmail.templatetags.times import clock
from webmail.text import Segment
from webmail.threads import Entry

Render = Callable[[Entry], str]

#: What is filled in, what stands beside a message and not in it, and what is in so few that each of these is
#: rendered by itself. All else that an entry says, its kind is.
_FILLED_IN = {"id", "segments", "created_at"}
_BESIDE = {"placed_at", "last_of_run", "day", "first_unread", "key_notes"}
_RARE = ("files", "reactions", "quote", "preview", "topic", "event", "expires_at")
_kind_of: Callable[[dict[str, object]], Hashable] = itemgetter(
    *({each.name for each in fields(Entry)} - _FILLED_IN - _BESIDE - set(_RARE))
)
_rare_of = itemgetter(*_RARE)

#: As the ids that addresses hold (webmail/templatetags/quick_url.py).
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ByKind:
    """Renders the messages of one answer with the function ``render``, which gives markup.

    ``random_hex`` gives so many random octets in hex: what other people wrote, which is in a kind too, can't
    hold what stands for id, text and time.
    """

    def __init__(self, render: Render, random_hex: Callable[[int], str] = secrets.token_hex) -> None:
        self._render = render
        self._kinds: dict[Hashable, str] = {}
        self._id, self._text, self._iso, self._clock = (random_hex(32) for _each in range(4))
        self._zone = timezone.get_current_timezone()

    def __call__(self, entry: Entry) -> str:
        """The markup of a message, octet for octet as ``render`` gives it."""
        text = _plain_text(entry)
        if text is None:
            return self._render(entry)
        kind = _kind_of(vars(entry))
        form = self._kinds.get(kind)
        if form is None:
            form = self._kinds[kind] = self._form_of(entry)
        filled = form % {
            "id": entry.id,
            "prefix": entry.id[:PREFIX],
            "text": escape(text),
            "iso": entry.created_at.isoformat(),
            "clock": clock(entry.created_at, self._zone),
        }
        return Markup(filled)  # noqa: S704 (the template's own, in which only the text needs escaping)

    def _form_of(self, entry: Entry) -> str:
        """The markup of a message like ``entry``, with the places of what differs for ``%``."""
        at = _StandInTime.of(self._iso, self._clock)
        markup = str(self._render(replace(entry, id=self._id, segments=[Segment(self._text)], created_at=at)))
        markup = markup.replace("%", "%%")
        # The prefix last, which the id begins with.
        for name, stand_in in (
            ("id", self._id),
            ("prefix", self._id[:PREFIX]),
            ("text", self._text),
            ("iso", self._iso),
            ("clock", self._clock),
        ):
            markup = markup.replace(stand_in, f"%({name})s")
        return markup


class _StandInTime(datetime):
    """A time that is written as it is told to be, in whatever zone."""

    _iso: str
    _clock: str

    @classmethod
    def of(cls, iso: str, clock: str) -> Self:
        made = cls(2000, 1, 1, tzinfo=UTC)
        made._iso, made._clock = iso, clock
        return made

    def astimezone(self, tz: tzinfo | None = None) -> Self:
        return self

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        return self._iso

    def strftime(self, format: str) -> str:
        return self._clock


def _plain_text(entry: Entry) -> str | None:
    """The text of a message that is one of a kind; None for one that is rendered by itself."""
    if any(_rare_of(vars(entry))) or len(entry.segments) != 1 or not _ID.fullmatch(entry.id):
        return None
    if entry.state is not None and entry.state.failure:
        # Its form has a token of its own.
        return None
    (segment,) = entry.segments
    return segment.text if segment == Segment(segment.text) else None
