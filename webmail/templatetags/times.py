"""Times as a person says them, in the browser's time zone (webmail/time_zone.py)."""

from datetime import date, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def in_list(moment: datetime) -> str:
    """14:02 today, Thu within a week, 12 Nov within the year, Nov 2025 before."""
    local, today = timezone.localtime(moment), timezone.localdate()
    if local.date() == today:
        return date_format(local, "H:i")
    if timedelta() <= today - local.date() < timedelta(days=7):
        return date_format(local, "D")
    if local.year == today.year:
        return date_format(local, "j M")
    return date_format(local, "M Y")


@register.filter
def day(value: date) -> str:
    """Today, Yesterday, Sunday 15 November, or with the year when it is another one."""
    today = timezone.localdate()
    if value == today:
        return _("Today")
    if value == today - timedelta(days=1):
        return _("Yesterday")
    return date_format(value, "l j F" if value.year == today.year else "j F Y")


@register.filter
def clock(moment: datetime) -> str:
    """14:02"""
    return date_format(timezone.localtime(moment), "H:i")


@register.filter
def moment(value: datetime) -> str:
    """20 November 2026, 14:02"""
    return date_format(timezone.localtime(value), "j F Y, H:i")
