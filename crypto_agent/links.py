"""Web links in the text that somebody wrote."""

import re
from collections.abc import Iterator

from crypto_agent.atsms.facets import Facet

MAX_LINKS = 100
MAX_LINK_LENGTH = 2048

_START = re.compile(r"(?<![\w/@.-])https?://[^\s<>\"'`\\^{|}\x00-\x20\x7f]+", re.IGNORECASE)
#: Punctuation that ends a sentence more often than an address.
_TRAILING = ".,;:!?…*_~'\"»”’。，、！？；："  # noqa: RUF001
_PAIRS = {")": "(", "]": "["}


def link_facets(text: str) -> list[Facet]:
    """Link facets over the http and https addresses in ``text``, as byte ranges of its UTF-8."""
    facets = []
    position, octets = 0, 0
    for start, address in _links(text):
        octets += len(text[position:start].encode())
        length = len(address.encode())
        facets.append(Facet(octets, octets + length, "link", address))
        position, octets = start + len(address), octets + length
        if len(facets) == MAX_LINKS:
            break
    return facets


def _links(text: str) -> Iterator[tuple[int, str]]:
    for match in _START.finditer(text):
        address = _trimmed(match.group())
        host = re.split(r"[/?#]", address.split("://", 1)[1], maxsplit=1)[0]
        if re.match(r"[^\W_]|\[", host) and len(address) <= MAX_LINK_LENGTH:
            yield match.start(), address


def _trimmed(address: str) -> str:
    """The address without the sentence's punctuation, and without a bracket that was opened before it."""
    while address:
        last = address[-1]
        opening = _PAIRS.get(last)
        unmatched = opening is not None and address.count(last) > address.count(opening)
        if last not in _TRAILING and not unmatched:
            break
        address = address[:-1]
    return address
