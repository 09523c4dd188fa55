"""Where a page has rows or messages: see webmail/row_templates.py."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import Context
from django.template.loader import get_template
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag(takes_context=True)
def row_template(context: Context, name: str, **given: Any) -> SafeString:
    """What a template of templates/jinja2 makes of what it is given here; it sees the request besides."""
    # Jinja2 has escaped what it was given.
    return mark_safe(get_template(name, using="rows").render(given, context.get("request")))  # noqa: S308
