"""What people type beside plain text: ``[words](address)`` for a link, ``@handle`` for somebody who is there.

Both become facets (protocol §5) over a text without the brackets, and are typed text again to be edited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crypto_agent.client import Facet
from webmail.people import Person
from webmail.text import web_address

#: More than that stay as they were typed.
MOST_FACETS = 100

_LINK = r"\[(?P<words>[^\[\]\n]{1,300})\]\((?P<url>https?://[^\s()<>]{1,2000})\)"
_MENTION = r"(?<![\w.@/-])@(?P<handle>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
_TYPED = re.compile(f"{_LINK}|{_MENTION}")


@dataclass(frozen=True, repr=False)
class Written:
    """A text as it is sent."""

    text: str
    facets: Sequence[Facet]


def mentions_in(typed: str) -> bool:
    """Whether a text may mention somebody, so that it has to be known who is there."""
    return "@" in typed


def written(typed: str, people: Iterable[Person]) -> Written:
    """The text and facets of what was typed; ``people`` are those who may be mentioned."""
    by_handle = {person.handle.lower(): person for person in people}
    text, facets, position = "", list[Facet](), 0
    for match in _TYPED.finditer(typed):
        words, kind, value = _meant(match, by_handle)
        if value and len(facets) < MOST_FACETS:
            text += typed[position : match.start()]
            start = len(text.encode())
            text += words
            facets.append(Facet(start, start + len(words.encode()), kind, value))
            position = match.end()
    return Written(text + typed[position:], facets)


def typed(text: str, facets: Sequence[Facet], people: Mapping[str, Person]) -> str:
    """The text as it is typed; ``people`` by DID."""
    data, position, pieces = text.encode(), 0, list[str]()
    for facet in sorted(facets, key=lambda facet: facet.start):
        if not position <= facet.start < facet.end <= len(data):
            continue
        words = data[facet.start : facet.end].decode(errors="replace")
        again = _again(words, facet, people)
        pieces += [data[position : facet.start].decode(errors="replace"), again]
        position = facet.end
    return "".join(pieces) + data[position:].decode(errors="replace")


def _meant(match: re.Match[str], by_handle: Mapping[str, Person]) -> tuple[str, str, str]:
    """The words shown, the kind of facet and its value; no value where nothing was meant."""
    if match["words"] is not None:
        url = match["url"] if web_address(match["url"]) and match["words"].strip() else ""
        return match["words"], "link", url
    person = by_handle.get(match["handle"].lower())
    return match.group(), "mention", person.did if person else ""


def _again(words: str, facet: Facet, people: Mapping[str, Person]) -> str:
    if facet.type == "link" and words != facet.value and _TYPED.fullmatch(f"[{words}]({facet.value})"):
        return f"[{words}]({facet.value})"
    if facet.type == "mention" and facet.value in people:
        return f"@{people[facet.value].handle}"
    return words
