"""Another site, whose pages somebody links to."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from tests.accounts.http_server import Server, reply
from tests.webmail.pictures import photo

TITLE = "The path along the river, from the weir to the old mill"
_PAGE = f"""<!doctype html><meta charset=utf-8><meta property="og:title" content="{TITLE}">
<meta property="og:description" content="Two hours, mostly in the shade. Boots after rain; the inn is closed
on Mondays, and dogs are welcome everywhere but on the island.">
<meta property="og:image" content="/weir.jpg">"""


def other_site() -> Server:
    """A server with one page, its picture, and nothing else; it counts who asks."""
    picture = photo((1200, 630))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/weir.jpg":
            return reply(handler, 200, picture, content_type="image/jpeg")
        if handler.path.startswith("/river-path"):
            return reply(handler, 200, _PAGE.encode(), content_type="text/html")
        return reply(handler, 404, b"")

    return Server(answer)
