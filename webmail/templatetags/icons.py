"""Icons from the one sprite, static/icons.svg."""

from functools import lru_cache

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


# A page has hundreds of them, of a few dozen kinds.
@register.simple_tag
@lru_cache(maxsize=512)
def icon(name: str, css_class: str = "icon") -> SafeString:
    """An inline picture of the symbol `name`, hidden from screen readers: its words stand beside it."""
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', css_class, static("icons.svg"), name
    )


@register.simple_tag
def mark() -> SafeString:
    """The three feathers."""
    return format_html(
        '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><use href="{}#mark"/></svg>',
        static("icons.svg"),
    )
