"""Words of others on one line, among words that they may not touch."""

from __future__ import annotations

import re
import unicodedata

#: Characters that turn the direction of what stands around them (Unicode Standard Annex 9).
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
#: Drawn as nothing, or as a space, though by their category they are letters, symbols, or no characters yet:
#: Hangul fillers, the blank Braille pattern, the null notehead, and what is kept free for the invisible.
BLANK = frozenset("\u115f\u1160\u2065\u2800\u3164\uffa0\U0001d159").union(
    map(chr, range(0xFFF0, 0xFFF9)), map(chr, range(0xE0000, 0xE1000))
)
#: These, control characters, and halves of a character.
_LEFT_OUT = re.compile(rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff{TURNING}]+")


def one_line(text: str, most: int) -> str:
    """The text on one line of at most ``most`` characters, with one space where there was any, and without
    what is not shown or turns the direction."""
    spaced = " ".join(text.split())
    return " ".join(_LEFT_OUT.sub("", spaced).split())[:most].rstrip()


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: it has but spaces, marks on no letter, and what is not drawn."""
    return not any(_is_visible(character) for character in text)


def _is_visible(character: str) -> bool:
    drawn = character not in BLANK and unicodedata.category(character) not in ("Cf", "Mn", "Me")
    return drawn and not character.isspace()
