"""What is answered to a request of which so much came that Django never saw it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.template.loader import render_to_string
from django.utils import translation

from webmail.security import HEADERS
from webmail.views.signed_out import told_to_script

Answer = tuple[list[tuple[bytes, bytes]], bytes]


def too_large(scope: Mapping[str, Any], most: int) -> Answer:
    """The headers and the body of a 413: a page where a browser goes to one, else plain text.

    It needs no database: whoever sends too much may be anybody. `most` is in octets.
    """
    request = _request_of(scope)
    if not _goes_to_page(request):
        return [(b"content-type", b"text/plain")], b"That is too large.\n"
    return _page(request, "413.html", {"most": most})


def signed_out(scope: Mapping[str, Any]) -> Answer:
    """The headers and the body of a 401 to what only those who are signed in may send: a page where a browser
    goes to one, a sentence in JSON where a script asks for that, else plain text."""
    request = _request_of(scope)
    if _goes_to_page(request):
        return _page(request, "401.html", {})
    if request.headers.get("Accept") != "application/json":
        return [(b"content-type", b"text/plain")], b"You are signed out.\n"
    with translation.override(translation.get_language_from_request(request)):
        return [(b"content-type", b"application/json")], told_to_script(request).content


def _request_of(scope: Mapping[str, Any]) -> ASGIRequest:
    return ASGIRequest({"query_string": b"", **scope, "method": "GET"}, io.BytesIO())


def _goes_to_page(request: ASGIRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "") and "HX-Request" not in request.headers


def _page(request: ASGIRequest, template: str, context: Mapping[str, object]) -> Answer:
    language = translation.get_language_from_request(request)
    with translation.override(language):
        page = render_to_string(template, {"request": request, **context})
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": language,
        "Cache-Control": "no-store",
        "Vary": "Accept, Accept-Language, Cookie",
        "X-Content-Type-Options": "nosniff",
        **HEADERS,
    }
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()], page.encode()
