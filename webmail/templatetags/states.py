"""How a page names what it shows, for webmail.news to tell what is new."""

from django import template

from webmail.news import PREFIX, MessageState, mark_of
from webmail.threads import Entry

register = template.Library()


@register.filter
def shown(entry: Entry | MessageState) -> str:
    """The id prefix and mark of a message, as "0123456789abcdef:3.89abcdef"."""
    return f"{entry.id[:PREFIX]}:{mark_of(entry)}"
