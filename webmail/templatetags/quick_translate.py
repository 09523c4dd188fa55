"""``{% load i18n %}`` as Django has it, but quick for sentences: a page has a hundred.

What a sentence is in a language stays the same as long as the process runs.
"""

from __future__ import annotations

from django import template
from django.template.base import FilterExpression, Parser, Token
from django.template.context import Context
from django.templatetags import i18n
from django.templatetags.i18n import TranslateNode, do_translate
from django.utils.translation import get_language

register = template.Library()
register.tags = dict(i18n.register.tags)
register.filters = dict(i18n.register.filters)


@register.tag("trans")
@register.tag("translate")
def translate(parser: Parser, token: Token) -> TranslateNode:
    node: TranslateNode = do_translate(parser, token)
    if node.noop or node.asvar or node.message_context or not _is_sentence(node.filter_expression):
        return node
    return _Sentence(node.filter_expression, noop=False)


class _Sentence(TranslateNode):
    """A sentence that stands in the template."""

    def __init__(self, filter_expression: FilterExpression, noop: bool) -> None:
        super().__init__(filter_expression, noop)
        #: What was put out, by language.
        self._known: dict[str | None, str] = {}

    def render(self, context: Context) -> str:
        language = get_language()
        known = self._known.get(language)
        if known is None:
            known = self._known[language] = super().render(context)
        return known


def _is_sentence(expression: FilterExpression) -> bool:
    return not expression.filters and getattr(expression.var, "literal", None) is not None
