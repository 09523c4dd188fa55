"""What the menu of a message needs."""

from uuid import uuid4

from django import template

from webmail.emoji import USUAL

register = template.Library()


@register.simple_tag
def usual_emoji() -> tuple[str, ...]:
    """The emoji that are shown first where somebody reacts."""
    return USUAL


@register.simple_tag
def new_token() -> str:
    """A name for what a form does, so that submitting it twice does it once."""
    return str(uuid4())
