"""Words of strangers for somebody who has to judge them: nothing in them is hidden or turns the rest."""

from __future__ import annotations

import unicodedata

#: Hold letters and emoji together in many languages; shown as anybody would see them.
_USUAL = "\n\t\u200c\u200d"


def visible(text: str) -> str:
    """The text with each control or format character, and each half of one, as its number: ``[U+202E]``."""
    return "".join(letter if _is_seen(letter) else f"[U+{ord(letter):04X}]" for letter in text)


def _is_seen(letter: str) -> bool:
    return letter in _USUAL or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
