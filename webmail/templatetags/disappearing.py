"""Times after which messages disappear, in words."""

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webmail.disappearing import CHOICES

register = template.Library()


@register.filter
def span(seconds: int) -> str:
    """Seconds as weeks, days, hours or minutes, whichever is the largest that they fill; "never" for none."""
    weeks, days, hours = seconds // 604_800, seconds // 86_400, seconds // 3600
    if not seconds:
        return _("never")
    if weeks and not seconds % 604_800:
        return ngettext("%(count)d week", "%(count)d weeks", weeks) % {"count": weeks}
    if days:
        return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}
    if hours:
        return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
    minutes = max(1, seconds // 60)
    return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}


@register.simple_tag
def disappearing_choices() -> tuple[int, ...]:
    """The times to choose from, in seconds; 0 is never."""
    return CHOICES
