"""Icons from the one sprite, static/icons.svg."""

from functools import lru_cache

from django import template
from django.template.base import Node, Parser, Token
from django.template.context import Context
from django.template.library import SimpleNode
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


# A page has hundreds of them, of a few dozen kinds.
@lru_cache(maxsize=512)
def icon(name: str, css_class: str = "icon") -> SafeString:
    """An inline picture of the symbol `name`, hidden from screen readers: its words stand beside it."""
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', css_class, static("icons.svg"), name
    )


_simple = template.Library()
_simple.simple_tag(icon, name="icon")


@register.tag("icon")
def icon_tag(parser: Parser, token: Token) -> Node:
    """``{% icon "name" "class" %}``; one that is named in the template is put together once."""
    node: SimpleNode = _simple.tags["icon"](parser, token)
    is_named = not (node.kwargs or node.target_var or any(each.is_var or each.filters for each in node.args))
    return _Named(node) if is_named else node


class _Named(Node):
    def __init__(self, node: SimpleNode) -> None:
        self._node = node
        self._html = ""

    def render(self, context: Context) -> str:
        if not self._html:
            self._html = self._node.render(context)
        return self._html


@register.simple_tag
def mark() -> SafeString:
    """The three feathers."""
    return format_html(
        '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><use href="{}#mark"/></svg>',
        static("icons.svg"),
    )
