"""Words of two directions in one line, where no markup can set them apart."""

from __future__ import annotations

import unicodedata

from django.utils.translation import get_language_bidi

#: Isolates what stands between them, so that it orders nothing around it (Unicode annex 9).
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
_LEFT_TO_RIGHT_MARK, _RIGHT_TO_LEFT_MARK = "\u200e", "\u200f"
#: All of them.
MARKS = (FIRST_STRONG_ISOLATE, POP_ISOLATE, _LEFT_TO_RIGHT_MARK, _RIGHT_TO_LEFT_MARK)


def is_mixed(words: str) -> bool:
    """Whether some of the words run in the other direction than the page's language."""
    other = {"L"} if get_language_bidi() else {"R", "AL"}
    return any(unicodedata.bidirectional(letter) in other for letter in words)


def isolated(name: str) -> str:
    """A name as a part of a sentence, which it would turn around if it runs the other way."""
    return f"{FIRST_STRONG_ISOLATE}{name}{POP_ISOLATE}" if is_mixed(name) else name


def as_the_page(sentence: str) -> str:
    """A sentence that begins on the side where the page's language does, even with a name that runs the other
    way."""
    mark = _RIGHT_TO_LEFT_MARK if get_language_bidi() else _LEFT_TO_RIGHT_MARK
    return f"{mark}{sentence}" if is_mixed(sentence) else sentence
