"""Message text as pieces that a template may escape one by one: plain runs and links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from crypto_agent.client import Facet

_URL = re.compile(r"https?://[^\s<>\"'`{}|\\^\x00-\x1f]{3,2000}", re.IGNORECASE)
#: Punctuation that ends a sentence rather than an address.
_TRAILING = ".,;:!?\u2026\u00bb\u201d\u2019\"'"
_PAIRS = {")": "(", "]": "["}


@dataclass(frozen=True)
class Segment:
    """A run of text; with a `url` it is a link, whose `host` stands beside it where its words are others than
    its address; with `mentions` it names somebody, with `own` the reader."""

    text: str
    url: str | None = None
    host: str = ""
    mentions: bool = False
    own: bool = False


def segments_of(
    text: str,
    facets: Sequence[Facet] = (),
    names: Mapping[str, str] = MappingProxyType({}),
    reader: str = "",
) -> list[Segment]:
    """Cut text into runs, links and mentions; the runs put together are the text, but for names.

    `facets` are byte ranges over the UTF-8 text (protocol §5); those that are out of range, overlap, link to
    anything but http and https, or mention somebody who has no name in `names` (by DID) are passed over.
    Addresses in the runs between become links too. `reader` is the DID of whoever the page is for.
    """
    data = text.encode()
    segments: list[Segment] = []
    position = 0
    for facet in sorted(_understood(facets, names), key=lambda facet: facet.start):
        if not position <= facet.start < facet.end <= len(data):
            continue
        try:
            before, inside = data[position : facet.start].decode(), data[facet.start : facet.end].decode()
        except UnicodeDecodeError:
            continue
        segments += _found_links(before)
        if facet.type == "link":
            segments.append(Segment(inside, facet.value, _host_beside(inside, facet.value)))
        else:
            segments.append(Segment(f"@{names[facet.value]}", mentions=True, own=facet.value == reader))
        position = facet.end
    return segments + list(_found_links(data[position:].decode()))


def host_of(url: str) -> str:
    """The host of a `web_address`."""
    return urlsplit(url).hostname or ""


def _host_beside(words: str, url: str) -> str:
    """The host that a link leads to, unless its words begin with just that address."""
    host = host_of(url)
    shown = words.strip().lower()
    for scheme in ("https://", "http://"):
        shown = shown.removeprefix(scheme)
    begins = re.split(r"[/?#:]", shown, maxsplit=1)[0]
    return "" if begins == host else host


def web_address(url: str) -> bool:
    """Whether a link may be followed: http or https, with a host and nothing that hides it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def is_emoji_only(text: str) -> bool:
    """Whether a short text is pictures alone, to be shown larger."""
    if text.isascii():
        return False
    shown = [letter for letter in text if not letter.isspace()]
    return 0 < len(shown) <= 12 and all(
        ord(letter) >= 0x1F000 or letter in "\u200d\ufe0f" or 0x2600 <= ord(letter) <= 0x27BF
        for letter in shown
    )


def _understood(facets: Iterable[Facet], names: Mapping[str, str]) -> Iterator[Facet]:
    return (
        facet
        for facet in facets
        if (facet.type == "link" and web_address(facet.value))
        or (facet.type == "mention" and facet.value in names)
    )


def _found_links(text: str) -> Iterator[Segment]:
    position = 0
    for match in _URL.finditer(text):
        url = _without_trailing(match.group())
        if not web_address(url):
            continue
        if match.start() > position:
            yield Segment(text[position : match.start()])
        yield Segment(url, url)
        position = match.start() + len(url)
    if position < len(text):
        yield Segment(text[position:])


def _without_trailing(url: str) -> str:
    while url:
        last = url[-1]
        unpaired = last in _PAIRS and url.count(last) > url.count(_PAIRS[last])
        if last not in _TRAILING and not unpaired:
            return url
        url = url[:-1]
    return url
