"""``{% load static %}`` as Django has it, but quick for files that a template names: a page has two dozen.

Where such a file is stays the same as long as the process runs.
"""

from __future__ import annotations

from django import template
from django.template.base import Parser, Token
from django.template.context import Context
from django.templatetags import static
from django.templatetags.static import StaticNode

register = template.Library()
register.tags = dict(static.register.tags)


@register.tag("static")
def static_tag(parser: Parser, token: Token) -> StaticNode:
    node: StaticNode = StaticNode.handle_token(parser, token)
    is_named = not node.path.is_var and not node.path.filters and node.varname is None
    return _Named(path=node.path) if is_named else node


class _Named(StaticNode):
    """A file that the template names."""

    _address = ""

    def render(self, context: Context) -> str:
        if not self._address:
            self._address = super().render(context)
        return self._address
