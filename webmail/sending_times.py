"""When a message is to go out: a few times that people choose often, and one of their own, in their zone."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from webmail.outgoing import CannotSend

MORNING = time(8, 0)
MONDAY = 0


def choices(now: datetime) -> list[tuple[str, str, datetime]]:
    """Names, words and moments of the times that are offered, in the zone that is active."""
    tomorrow, monday = _named(now)
    return [tomorrow] if monday[2] == tomorrow[2] else [tomorrow, monday]


def _named(now: datetime) -> list[tuple[str, str, datetime]]:
    """The same of all times that have a name: what a page offered on Saturday is still meant on Sunday."""
    today = timezone.localdate(now)
    monday = today + timedelta(days=(MONDAY - today.weekday() - 1) % 7 + 1)
    named = [
        ("tomorrow", _("Tomorrow morning"), today + timedelta(days=1)),
        ("monday", _("Monday morning"), monday),
    ]
    zone = timezone.get_current_timezone()
    return [(name, words, datetime.combine(day, MORNING, zone)) for name, words, day in named]


def chosen_time(name: str, typed: str, now: datetime) -> datetime:
    """The moment of a name that a page offered, or of what a field for a time holds. Raises CannotSend."""
    for offered, _words, moment in _named(now):
        if name == offered:
            return moment
    try:
        moment_typed = parse_datetime(typed)
    except ValueError:
        moment_typed = None
    if moment_typed is None or timezone.is_aware(moment_typed):
        raise CannotSend("no-time", _("Choose a day and a time."))
    try:
        return timezone.make_aware(moment_typed)
    except (ValueError, OverflowError) as error:
        raise CannotSend("no-time", _("Choose a day and a time.")) from error
