"""What people type into the search field: words, "phrases", and operators such as from:bob.

Nothing is a mistake here: what looks like an operator and is none is searched for as it stands. Which day
before: and after: name, or whether it is one, is for webmail/search_filters.py to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Name = Literal["from", "in", "has", "before", "after"]

KINDS = ("file", "image", "link", "mention")
#: Further operators are searched for as words.
MOST_OPERATORS = 12

_QUOTES = dict.fromkeys(map(ord, "“”„‟«»"), '"')
_TOKEN = re.compile(r'(?P<name>[A-Za-z]+):(?:"(?P<quoted>[^"]*)"?|(?P<plain>[^\s"]+))|"[^"]*"?|[^\s"]+')
_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?", re.ASCII)


@dataclass(frozen=True)
class Operator:
    """An operator with its value, and the whole query without it, as it would be typed."""

    name: Name
    value: str
    without: str


@dataclass(frozen=True)
class SearchQuery:
    """A query: what has to be in the text, and what narrows the search."""

    words: str
    operators: tuple[Operator, ...]

    def values(self, name: Name) -> list[str]:
        """The values of one operator, in the order in which they were typed."""
        return [operator.value for operator in self.operators if operator.name == name]


def parse(text: str) -> SearchQuery:
    """The words and operators of a query."""
    tokens = list(_TOKEN.finditer(text.translate(_QUOTES)))
    meant = {place: found for place, token in enumerate(tokens) if (found := _operator(token))}
    kept = dict(list(meant.items())[:MOST_OPERATORS])
    typed = [token[0] for token in tokens]
    return SearchQuery(
        words=" ".join(word for place, word in enumerate(typed) if place not in kept),
        operators=tuple(
            Operator(name, value, " ".join(typed[:place] + typed[place + 1 :]))
            for place, (name, value) in kept.items()
        ),
    )


def day_of(value: str, today: date) -> date | None:
    """The day that a value of before: or after: names, the first of a month or a year; None for others."""
    if value.casefold() in ("today", "yesterday"):
        return today - timedelta(days=value.casefold() == "yesterday")
    found = _DAY.fullmatch(value)
    try:
        return date(int(found[1]), int(found[2] or 1), int(found[3] or 1)) if found else None
    except ValueError:
        return None


def _operator(token: re.Match[str]) -> tuple[Name, str] | None:
    value = " ".join((token["quoted"] or token["plain"] or "").split())
    if not value:
        return None
    match (token["name"] or "").casefold():
        case "from":
            return "from", value
        case "in":
            return "in", value
        case "has" if value.casefold() in KINDS:
            return "has", value.casefold()
        case "before":
            return "before", value
        case "after":
            return "after", value
    return None
