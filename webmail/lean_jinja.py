"""Jinja2 without what it does at each of the hundreds of places of a page in case some template needs it."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from types import CodeType
from typing import Any, Self

from django.utils.safestring import SafeString
from jinja2 import Environment, Template
from jinja2.runtime import Context
from markupsafe import Markup, escape

#: Text that is markup already.
_MARKUP = frozenset({Markup, SafeString})


class LeanTemplate(Template):
    """A template that makes nothing anew of what is markup already, or has nothing to escape."""

    @classmethod
    def from_code(
        cls,
        environment: Environment,
        code: CodeType,
        globals: MutableMapping[str, Any],
        uptodate: Callable[[], bool] | None = None,
    ) -> Self:
        made: Self = super().from_code(environment, code, globals, uptodate)  # type: ignore[assignment]
        # By this name the code calls what escapes the values that it puts out, and joins to one text.
        made.root_render_func.__globals__["escape"] = _escaped
        return made


class LeanContext(Context):
    """A context for templates that call macros, and functions that ask neither for it nor for the loop."""

    def call(self, called: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        named.pop("_loop_vars", None)
        named.pop("_block_vars", None)
        return called(*args, **named)


def _escaped(value: Any) -> str:
    """As markupsafe escapes it; but text without markup may be plain text."""
    kind = type(value)
    if kind in _MARKUP or (kind is str and value.isalnum()):
        return value  # type: ignore[no-any-return]
    return escape(value)
