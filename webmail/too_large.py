"""What is answered to a request of which so much came that Django never saw it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.template.loader import render_to_string
from django.utils import translation

from webmail.security import HEADERS

_WORDS = b"That is too large.\n"


def too_large(scope: Mapping[str, Any], most: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers and the body of a 413: a page where a browser goes to one, else plain text.

    It needs no database: whoever sends too much may be anybody. `most` is in octets.
    """
    request = ASGIRequest({"query_string": b"", **scope, "method": "GET"}, io.BytesIO())
    if "text/html" not in request.headers.get("Accept", "") or "HX-Request" in request.headers:
        return [(b"content-type", b"text/plain")], _WORDS
    language = translation.get_language_from_request(request)
    with translation.override(language):
        page = render_to_string("413.html", {"request": request, "most": most})
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": language,
        "Cache-Control": "no-store",
        "Vary": "Accept, Accept-Language, Cookie",
        "X-Content-Type-Options": "nosniff",
        **HEADERS,
    }
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()], page.encode()
