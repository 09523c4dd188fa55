"""A link's page asked for what it says of itself, and for its picture: at most MOST_SECONDS for all of it.

By the guarded client of `outbound`, which calls https addresses of public hosts alone, at each step of a
redirect. Nothing of who asks is told: no cookie, no address of a page here, and the same name for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import outbound
from accounts import rate_limits
from accounts.models import Account
from accounts.rate_limits import Limit, TooOften
from turns import computing
from webmail.blobs.spool import Spool, SpoolFull
from webmail.images.child import PREVIEW_BYTES
from webmail.images.decoding import SHOWN_TYPES, NotDecoded, decode
from webmail.previews.card import Card
from webmail.previews.page import charset_in, read_page
from webmail.refusals import Refusal
from webmail.text import host_of
from webmail.turns import Turns

MOST_SECONDS = 8.0
#: Pages have what they say of themselves at their beginning, but scripts may stand before it. Larger answers
#: are left after that many bytes.
PAGE_BYTES = 1024 * 1024
MOST_ANSWER_BYTES = 64 * 1024 * 1024
PICTURE_BYTES = 5 * 1024 * 1024
#: Smaller ones show nothing.
LEAST_PIXELS = 32
PAGES = frozenset({"text/html", "application/xhtml+xml"})

_turns = Turns(4, 2)


class NoPreview(Refusal):
    """There is no preview. ``code``: "says-nothing", "busy" or "too-often".

    Why a page says nothing is not told: it would tell what this server can reach.
    """


@dataclass(frozen=True)
class _Answer:
    url: str
    charset: str
    body: bytes


def make_card(account: Account, url: str, *, clock: Callable[[], float] = time.monotonic) -> Card:
    """What the page at a link says of itself, for a message of an account. Raises NoPreview.

    ``url`` is a link as `webmail.previews.card.first_link` gives it.
    """
    try:
        rate_limits.take(Limit("preview", str(account.pk), settings.PREVIEWS_OF_ONE))
    except TooOften as error:
        words = ngettext(
            "You had very many previews made. Try again in %(minutes)d minute.",
            "You had very many previews made. Try again in %(minutes)d minutes.",
            error.minutes,
        )
        raise NoPreview("too-often", words % {"minutes": error.minutes}) from error
    ends_at = clock() + MOST_SECONDS
    if not _turns.take(account.pk, patience=2.0):
        raise NoPreview("busy", _("Previews are being made already. Try again in a moment."))
    try:
        with (
            computing.waiting(),
            outbound.http_client(max_bytes=MOST_ANSWER_BYTES, seconds=MOST_SECONDS) as client,
        ):
            return _card(client, url, ends_at, clock)
    finally:
        _turns.give_back(account.pk)


def _card(client: httpx.Client, url: str, ends_at: float, clock: Callable[[], float]) -> Card:
    try:
        page = _asked(client, url, PAGES, PAGE_BYTES, ends_at, clock, whole=False)
        words = read_page(page.body, page.charset, seconds=ends_at - clock())
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise _says_nothing(url) from error
    if not words:
        raise _says_nothing(url)
    picture = b""
    if words.picture:
        try:
            address = urljoin(page.url, words.picture)
            found = _asked(client, address, SHOWN_TYPES, PICTURE_BYTES, ends_at, clock, whole=True)
            picture = _made_small(found.body, ends_at - clock())
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError, NotDecoded, SpoolFull):
            # A preview without its picture is one, too.
            picture = b""
    return Card(url, words.title, words.description, picture)


def _asked(
    client: httpx.Client,
    url: str,
    kinds: frozenset[str],
    most_bytes: int,
    ends_at: float,
    clock: Callable[[], float],
    *,
    whole: bool,
) -> _Answer:
    """What is at an address, or where that leads; its beginning unless ``whole``.

    Raises httpx.HTTPError, InvalidURL or UnicodeError, and ValueError for an answer of another kind.
    """
    for _hop in range(outbound.MAX_REDIRECTS + 1):
        with _answer(client, url, ends_at - clock()) as answer:
            if answer.next_request is not None:
                url = str(answer.next_request.url)
                continue
            content_type = answer.headers.get("content-type", "")
            kind = content_type.partition(";")[0].strip().lower()
            if answer.status_code != httpx.codes.OK or kind not in kinds:
                raise ValueError("not what was asked for")
            body = bytearray()
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) >= most_bytes:
                    if whole:
                        raise ValueError("too large")
                    break
            return _Answer(url, charset_in(content_type), bytes(body[:most_bytes]))
    raise ValueError("too many redirects")


@contextmanager
def _answer(client: httpx.Client, url: str, seconds: float) -> Iterator[httpx.Response]:
    if seconds <= 0:
        raise httpx.ReadTimeout("the answers took too long")
    with client.stream("GET", url, extensions={"seconds": seconds}) as answer:
        yield answer


def _made_small(data: bytes, seconds: float) -> bytes:
    """The picture anew: small, and of its pixels alone. Raises NotDecoded, also where it takes too long."""
    with Spool() as found:
        found.write(data)
        made = decode(found, "preview", seconds=seconds)
    if min(made.width, made.height) < LEAST_PIXELS or len(made.content) > PREVIEW_BYTES:
        raise NotDecoded("not-an-image")
    return made.content


def _says_nothing(url: str) -> NoPreview:
    return NoPreview("says-nothing", _("%(host)s gives no preview.") % {"host": host_of(url)})
