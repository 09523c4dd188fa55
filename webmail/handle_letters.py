"""Handles in other letters than they seem to be: what "xn--" stands for, and whether that can be misread.

Pure functions over the handle alone, so that one is noticed which imitates somebody whom nobody here knows.
Sources: IDNA 2008; for scripts that belong together, Unicode Technical Standard 39, "highly restrictive".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from confusable_homoglyphs import categories

from accounts.skeletons import in_latin, in_letters

Kind = Literal["plain", "mixed", "misread", "no-name"]

#: Scripts that one word is written in beside Latin.
_TOGETHER = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
)
#: Marks and digits, which are part of any script.
_OF_ALL = frozenset({"COMMON", "INHERITED"})


@dataclass(frozen=True)
class Letters:
    """What a handle with an "xn--" in it stands for, `shown`.

    "plain": letters that are what they seem; "mixed": a word of it has letters of several scripts;
    "misread": all of it can be read as Latin letters, `read_as`, and is not; "no-name": it stands for
    nothing that can be shown.
    """

    kind: Kind
    shown: str
    read_as: str = ""

    @property
    def deceive(self) -> bool:
        """Whether one should look twice."""
        return self.kind != "plain"


@lru_cache(maxsize=4096)
def letters_of(handle: str) -> Letters | None:
    """What a handle stands for; None if it is what it looks like, as nearly all are."""
    written = handle.lower().split(".")
    if not any(label.startswith("xn--") for label in written):
        return None
    labels = [in_letters(label) for label in written]
    shown = ".".join(labels)
    if any(label.startswith("xn--") for label in labels):
        return Letters("no-name", shown)
    if any(_mixed(label) for label in labels):
        return Letters("mixed", shown)
    read_as = in_latin(shown).lower()
    return Letters("misread", shown, read_as) if read_as.isascii() else Letters("plain", shown)


def _mixed(label: str) -> bool:
    scripts = frozenset(categories.unique_aliases(label)) - _OF_ALL
    return len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER)
