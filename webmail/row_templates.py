"""The templates of rows and messages, of which a page has fifty: Jinja2 renders them several times as fast.

They are in templates/jinja2. What they are given besides what a view gives them is what the other templates
load as tags; addresses and words are looked up once for each answer, not once for each row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import get_script_prefix, get_urlconf
from django.utils.translation import get_language, gettext
from jinja2 import ChainableUndefined, Environment
from markupsafe import Markup

from webmail.lean_jinja import LeanContext, LeanTemplate
from webmail.messages_by_kind import ByKind
from webmail.templatetags.icons import icon
from webmail.templatetags.messages_menu import new_token
from webmail.templatetags.quick_url import address_of
from webmail.templatetags.states import shown
from webmail.templatetags.times import clock, day, in_list, moment


def environment(**options: Any) -> Environment:
    """What Django makes its Jinja2 engine of. A name that was not given is empty, as in its own templates."""
    # Django's backend has autoescape set.
    made = Environment(**options | {"undefined": ChainableUndefined})  # noqa: S701
    made.template_class, made.context_class = LeanTemplate, LeanContext
    made.globals.update(icon=icon, new_token=new_token, by_kind=ByKind)
    made.filters.update(
        clock=clock, day=day, in_list=in_list, moment=moment, shown=shown, size=filesizeformat
    )
    return made


def for_one_answer(_request: HttpRequest) -> dict[str, Any]:
    """`url(name, …)` and `_(sentence)` for the language and the place of one request."""
    return {"url": _addresses(get_urlconf(), get_script_prefix()), "_": _words(get_language() or "")}


@lru_cache(maxsize=16)
def _addresses(urlconf: str | None, prefix: str) -> Callable[..., str]:
    def url(view_name: str, *arguments: object) -> str:
        return address_of(view_name, arguments, urlconf, prefix)

    return url


@lru_cache(maxsize=16)
def _words(_language: str) -> Callable[[str], Markup]:
    known: dict[str, Markup] = {}

    def translated(sentence: str) -> Markup:
        """What a sentence of ours says in the language that is active; it may hold elements."""
        found = known.get(sentence)
        if found is None:
            found = known[sentence] = Markup(gettext(sentence))  # noqa: S704 (ours, or our translators')
        return found

    return translated
