"""What is compared when people search: text folded so that case and ways to write it do not matter.

Folded is Unicode's NFKC with case folded, without characters that nobody sees (joiners, marks of direction,
variation selectors), every run of white space and control characters one space.
"""

import unicodedata
from dataclasses import dataclass

from crypto_agent.errors import InvalidRequest

MOST_QUERY_CHARACTERS = 200
MOST_TERMS = 16

_INVISIBLE = ("Cf", "Cs")
_VARIATION_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x034F)))


@dataclass(frozen=True, repr=False)
class Query:
    """Folded terms that must all be in a message; each is UTF-8 and not empty."""

    terms: tuple[bytes, ...]


def fold(text: str) -> str:
    """``text`` as it is searched; folding twice changes nothing."""
    if text.isascii():
        return " ".join(text.casefold().translate(_ASCII_CONTROLS).split())
    folded = _normal(_normal(text).casefold())
    seen = (" " if unicodedata.category(character) == "Cc" else character for character in folded)
    return " ".join("".join(seen).split())


def parse_query(text: str) -> Query:
    """The words of a query, and its "phrases" in quotation marks, each of which has to be in a message.

    An open quotation mark reaches to the end. Raises InvalidRequest for too long a query, too many terms.
    """
    if len(text) > MOST_QUERY_CHARACTERS:
        raise InvalidRequest(f"query: more than {MOST_QUERY_CHARACTERS} characters")
    terms: list[str] = []
    for index, piece in enumerate(_with_plain_quotes(text).split('"')):
        folded = fold(piece)
        terms += [folded] if index % 2 and folded else folded.split()
    if len(terms) > MOST_TERMS:
        raise InvalidRequest(f"query: more than {MOST_TERMS} words")
    # The longest is the rarest, most likely: it is looked for first.
    return Query(tuple(sorted({term.encode() for term in terms}, key=lambda term: (-len(term), term))))


_ASCII_CONTROLS = dict.fromkeys((*range(32), 127), " ")


def _with_plain_quotes(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, "“”„‟«»"), '"'))


def _normal(text: str) -> str:
    visible = "".join(
        character
        for character in unicodedata.normalize("NFKC", text)
        if unicodedata.category(character) not in _INVISIBLE and character not in _VARIATION_SELECTORS
    )
    return unicodedata.normalize("NFKC", visible)
