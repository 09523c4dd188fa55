"""Small pictures out of sealed messages, for the browser of whoever may read them."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag

from webmail.blobs.cannot_fetch import CannotFetch

#: It asks here each time before it shows what it kept, so that whoever has signed out or locked sees nothing.
_KEPT = "private, no-cache"
_ONLY_TO_SEE = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


def sealed_picture(
    request: HttpRequest, version: str, opened: Callable[[], tuple[str, bytes]], *, may_be_kept: bool
) -> HttpResponse:
    """A picture, or 304 for a browser that has this version of it, which costs neither agent nor decoding.

    ``opened`` gives its media type and content, and may raise CannotFetch. Without ``may_be_kept`` no browser
    is to store it, and none is believed to have it.
    """
    tag = quote_etag(version)
    kept = {"Cache-Control": _KEPT, "ETag": tag} if may_be_kept else {"Cache-Control": "no-store"}
    if may_be_kept and request.headers.get("If-None-Match"):
        unchanged = get_conditional_response(request, etag=tag)
        if isinstance(unchanged, HttpResponse) and unchanged.status_code == 304:
            for name, value in kept.items():
                unchanged[name] = value
            return unchanged
    try:
        media_type, content = opened()
    except CannotFetch as error:
        return no_picture(error)
    return HttpResponse(content, media_type, headers={**kept, **_ONLY_TO_SEE})


def no_picture(error: CannotFetch) -> HttpResponse:
    """The answer where there is none to be shown."""
    return HttpResponse(status=error.status, content_type="text/plain", headers={"Cache-Control": "no-store"})
