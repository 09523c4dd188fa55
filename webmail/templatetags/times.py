"""Times as a person says them, in the browser's time zone (webmail/time_zone.py)."""

from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _

register = template.Library()


def _written(value: date, letters: str) -> str:
    written = date_format(value, letters)
    # Django has Portuguese days and months with capitals, as they were written until 2009.
    return written[:1] + written[1:].lower() if get_language() == "pt" else written


@register.filter
def in_list(moment: datetime) -> str:
    """14:02 today, Thu within a week, 12 Nov within the year, Nov 2025 before."""
    local, today = timezone.localtime(moment), timezone.localdate()
    if local.date() == today:
        return local.strftime("%H:%M")
    return _day_in_list(local.date(), today, get_language())


# A list has few days, again and again.
@lru_cache(maxsize=2048)
def _day_in_list(day: date, today: date, _language: str | None) -> str:
    if timedelta() <= today - day < timedelta(days=7):
        return _written(day, "D")
    if day.year == today.year:
        return _written(day, pgettext("letters of Django's date format", "j M"))
    return _written(day, pgettext("letters of Django's date format", "M Y"))


@register.filter
def day(value: date) -> str:
    """Today, Yesterday, Sunday 15 November, or with the year when it is another one."""
    today = timezone.localdate()
    if value == today:
        return _("Today")
    if value == today - timedelta(days=1):
        return _("Yesterday")
    if value.year == today.year:
        return _written(value, pgettext("letters of Django's date format", "l j F"))
    return whole_date(value)


@register.filter
def clock(moment: datetime, zone: tzinfo | None = None) -> str:
    """14:02, in the browser's time zone unless another is named."""
    return timezone.localtime(moment, zone).strftime("%H:%M")


@register.filter
def moment(value: datetime) -> str:
    """20 November 2026, 14:02"""
    return _written(timezone.localtime(value), pgettext("letters of Django's date format", "j F Y, H:i"))


@register.filter
def clock_or_moment(value: datetime, since: datetime) -> str:
    """14:02 on the day of `since`, 22 November 2026, 14:02 on another one."""
    same = timezone.localtime(value).date() == timezone.localtime(since).date()
    return clock(value) if same else moment(value)


@register.filter
def moment_with_seconds(value: datetime) -> str:
    """20 November 2026, 14:02:31"""
    return _written(timezone.localtime(value), pgettext("letters of Django's date format", "j F Y, H:i:s"))


@register.filter
def whole_date(value: date) -> str:
    """20 November 2026"""
    local = timezone.localtime(value) if isinstance(value, datetime) else value
    return _written(local, pgettext("letters of Django's date format", "j F Y"))
