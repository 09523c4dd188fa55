"""Where the words of a search stand in a text, for a line or two of it on a page."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

BEFORE, AFTER = 40, 160
#: Letters of a text that are folded at a time, and folded ones after which no more are. One letter may become
#: eighteen, and each is folded by itself.
PIECE, MOST = 500, 10_000


@dataclass(frozen=True)
class Run:
    """A piece of text; ``found`` where it is what was searched for."""

    text: str
    found: bool = False


def excerpt(text: str, query: str) -> list[Run]:
    """Some two hundred characters around the first place of the query's words, these marked.

    The beginning of the text where none is seen in it: the search folds some writing that this does not.
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())
    spans = _spans(text, terms_of(query))
    start = max(0, spans[0][0] - BEFORE) if spans else 0
    if start:
        start = text.find(" ", start, spans[0][0]) + 1 or start
    end = min(len(text), start + BEFORE + AFTER)
    runs = [Run("…")] if start else []
    position = start
    for first, last in spans:
        if first >= end:
            break
        last = min(last, end)
        runs += [Run(text[position:first]), Run(text[first:last], found=True)]
        position = last
    runs.append(Run(text[position:end] + ("…" if end < len(text) else "")))
    return [run for run in runs if run.text]


def terms_of(query: str) -> list[str]:
    """The words and phrases of a query, folded."""
    terms: list[str] = []
    plain = query.translate(dict.fromkeys(map(ord, "“”„‟«»"), '"'))
    for index, piece in enumerate(plain.split('"')):
        folded = " ".join(_fold(unicodedata.normalize("NFC", piece)).split())
        terms += [folded] if index % 2 and folded else folded.split()
    return list(dict.fromkeys(terms))


def _spans(text: str, terms: list[str]) -> list[tuple[int, int]]:
    """Where terms stand in the text, in order and without overlap."""
    folded, places = _beginning(text, terms)
    found = []
    for term in terms:
        position = folded.find(term)
        while position >= 0:
            found.append((places[position], places[position + len(term) - 1] + 1))
            position = folded.find(term, position + len(term))
    spans: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _beginning(text: str, terms: list[str]) -> tuple[str, list[int]]:
    """As much of a text, folded, as an excerpt around the first of the terms needs; and where each of these
    letters stands in the text."""
    folded, places = "", list[int]()
    for start in range(0, len(text), PIECE):
        there = any(term in folded for term in terms)
        for index, letter in enumerate(text[start : start + PIECE], start):
            piece = _fold(letter)
            folded += piece
            places += [index] * len(piece)
        if there or len(folded) >= MOST:
            break
    return folded, places


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(
        character
        for character in folded
        if unicodedata.category(character) != "Cf" and not 0xFE00 <= ord(character) <= 0xFE0F
    )
