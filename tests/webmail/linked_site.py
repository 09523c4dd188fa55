"""Another site: a page that says what it is about, with its picture."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from tests.accounts.http_server import Server, reply
from tests.webmail.pictures import photo

PAGE = b"""<!doctype html><head><meta property="og:title" content="The <weir>">
<meta property="og:description" content="A walk along the river.">
<meta property="og:image" content="weir.jpg">"""
HTML = {"content_type": "text/html; charset=utf-8"}


def linked_site() -> Server:
    """A server that gives out the page wherever it is asked for, and a picture for what ends in ``.jpg``."""
    picture = photo((1200, 630), noisy=True)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.endswith(".jpg"):
            return reply(handler, 200, picture, content_type="image/jpeg")
        return reply(handler, 200, PAGE, **HTML)

    return Server(answer)
