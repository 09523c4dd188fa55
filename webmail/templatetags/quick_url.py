"""``{% url %}`` as Django has it, but quick for addresses that hold one id, of which a page has a thousand,
and for those that hold nothing.

Django checks each argument against the patterns of all that could be meant. Where the only argument is an id
in hex, an address differs from that of another id in nothing but the id; without any, it is always the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django import template
from django.template.base import FilterExpression, Parser, Token
from django.template.context import Context
from django.template.defaulttags import URLNode, url
from django.urls import get_script_prefix, get_urlconf, reverse
from django.utils.html import conditional_escape

register = template.Library()

_ID = re.compile(r"[0-9a-f]{64,128}")
#: Stands for an id; no address has it otherwise.
_PLACE = "0" * 64


@register.tag("url")
def quick_url(parser: Parser, token: Token) -> URLNode:
    node = url(parser, token)
    return _QuickUrl(node.view_name, node.args, node.kwargs, node.asvar)


class _QuickUrl(URLNode):
    args: list[FilterExpression]

    def render(self, context: Context) -> str:
        if len(self.args) > 1 or self.kwargs:
            return super().render(context)
        arguments = [argument.resolve(context) for argument in self.args]
        if not all(map(_is_id, arguments)):
            return super().render(context)
        view_name: Any = self.view_name.resolve(context)
        if not arguments and self.asvar:
            # Where there is no such view, that is no error for Django.
            return super().render(context)
        address = address_of(view_name, arguments, get_urlconf(), get_script_prefix())
        if self.asvar:
            context[self.asvar] = address
            return ""
        return conditional_escape(address) if context.autoescape else address


def address_of(view_name: str, arguments: Sequence[object], urlconf: str | None, prefix: str) -> str:
    """The address of a view as Django's `reverse` makes it; `prefix` is what all begin with."""
    if len(arguments) == 1 and _is_id(arguments[0]):
        before, after = _around(view_name, urlconf, prefix)
        return f"{before}{arguments[0]}{after}"
    if not arguments:
        return _of_view(view_name, urlconf, prefix)
    return reverse(view_name, urlconf, args=arguments)


def _is_id(argument: object) -> bool:
    return isinstance(argument, str) and _ID.fullmatch(argument) is not None


@lru_cache(maxsize=512)
def _of_view(view_name: str, urlconf: str | None, _prefix: str) -> str:
    return reverse(view_name, urlconf)


@lru_cache(maxsize=512)
def _around(view_name: str, urlconf: str | None, _prefix: str) -> tuple[str, str]:
    """What an address of the view has before and after an id."""
    before, after = reverse(view_name, urlconf, args=[_PLACE]).split(_PLACE)
    return before, after
