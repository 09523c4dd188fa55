"""A preview while its message is being written: what it says, and that its writer does not want it.

It stands in one field of the composer's form, and in the draft. Nobody else has a part in it, and whoever
sends a message may say in it what they like: so nothing here proves where the words came from.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import outbound
from webmail.images.child import PREVIEW_BYTES
from webmail.previews.child import MOST_DESCRIPTION, MOST_TITLE
from webmail.text import host_of, segments_of, web_address
from webmail.typed_text import written

#: Of the link itself, in bytes.
MOST_URL = 2048


@dataclass(frozen=True, repr=False)
class Card:
    """What is said of the page at ``url``. ``picture`` is a JPEG, or nothing. ``removed``: nothing is, since
    its writer took it away, and does not want another one of this link."""

    url: str
    title: str = ""
    description: str = ""
    picture: bytes = b""
    removed: bool = False

    @property
    def host(self) -> str:
        return host_of(self.url)

    @property
    def fields(self) -> Mapping[str, Any]:
        """As JSON."""
        if self.removed:
            return {"url": self.url, "removed": True}
        picture = base64.b64encode(self.picture).decode()
        return {"url": self.url, "title": self.title, "description": self.description, "picture": picture}

    @property
    def encoded(self) -> str:
        """For a field of a form."""
        return json.dumps(self.fields, ensure_ascii=False)


def decoded(text: str) -> Card | None:
    """The card in a field of a form; None for what is none."""
    if len(text) > 4 * PREVIEW_BYTES:
        return None
    try:
        return card_of(json.loads(text)) if text else None
    except (ValueError, RecursionError):
        return None


def card_of(fields: object) -> Card | None:
    """The card that JSON describes; None for what is none."""
    match fields:
        case {"url": str(url), "removed": True} if _is_link(url):
            return Card(url, removed=True)
        case {"url": str(url), "title": str(title), "description": str(description), "picture": str(picture)}:
            try:
                data = base64.b64decode(picture, validate=True)
            except ValueError:
                return None
            card = Card(url, title, description, data)
            return card if _is_bearable(card) else None
    return None


def links_in(typed: str) -> list[str]:
    """The addresses that a text leads to when it is sent, in their order."""
    text = written(typed, ())
    return [segment.url for segment in segments_of(text.text, text.facets) if segment.url]


def first_link(typed: str) -> str | None:
    """The link that a preview is offered of: the first one, if this installation may call it."""
    links = links_in(typed)
    return links[0] if links and _is_link(links[0]) else None


def _is_link(url: str) -> bool:
    address, _hash, _fragment = url.partition("#")
    try:
        size = len(url.encode())
    except UnicodeError:
        return False
    return size <= MOST_URL and web_address(url) and outbound.is_web_address(address)


def _is_bearable(card: Card) -> bool:
    try:
        _ = (card.title + card.description).encode()
    except UnicodeError:
        return False
    return (
        _is_link(card.url)
        and bool(card.title or card.description)
        and len(card.title) <= MOST_TITLE
        and len(card.description) <= MOST_DESCRIPTION
        and len(card.picture) <= PREVIEW_BYTES
    )
