"""When a message is to go out: a few times that people choose often, and one of their own, in their zone."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from webmail.outgoing import CannotSend

MORNING = time(8, 0)
MONDAY = 0


def choices(now: datetime) -> list[tuple[str, datetime]]:
    """Words and moments of the times that are offered, in the zone that is active."""
    today = timezone.localdate(now)
    tomorrow = today + timedelta(days=1)
    monday = today + timedelta(days=(MONDAY - today.weekday() - 1) % 7 + 1)
    offered = [(_("Tomorrow morning"), tomorrow)]
    if monday != tomorrow:
        offered.append((_("Monday morning"), monday))
    zone = timezone.get_current_timezone()
    return [(words, datetime.combine(day, MORNING, zone)) for words, day in offered]


def chosen_time(at: str, typed: str) -> datetime:
    """The moment that a page offered, as it was written there, or what a field for a time holds; it may be
    over by now. Raises CannotSend."""
    offered = _parsed(at)
    if offered is not None and timezone.is_aware(offered):
        return offered
    moment_typed = _parsed(typed)
    if moment_typed is None or timezone.is_aware(moment_typed):
        raise CannotSend("no-time", _("Choose a day and a time."))
    try:
        return timezone.make_aware(moment_typed)
    except (ValueError, OverflowError) as error:
        raise CannotSend("no-time", _("Choose a day and a time.")) from error


def _parsed(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None
