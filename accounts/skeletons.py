"""What handles and names are read as, so that two that look alike are found to.

Pure functions; Unicode Technical Standard 39 calls such a form of a text its skeleton.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import idna

from accounts.one_line import BLANK

#: Names longer than this are compared by their beginning.
LONGEST = 253
#: Where the Unicode list names another letter than the one that it is drawn as: the small palochka.
_DRAWN_AS = {"\u04cf": "l"}
#: What reads alike in Latin letters, after everything was made lower case. Single letters come first, since
#: pairs are made of them: "c1" reads like "cl".
_ALIKE = (("0", "o"), ("1", "l"), ("|", "l"), ("i", "l"), ("rn", "m"), ("vv", "w"), ("cl", "d"))


@lru_cache(maxsize=4096)
def skeleton(text: str) -> str:
    """What a handle or name is read as, at most 253 characters: two texts that look alike have the same one.

    Labels in punycode are decoded, spaces, marks and invisible characters left out, letters of other scripts
    replaced by the Latin ones that they look like (Unicode confusables), and Latin look-alikes made one.
    """
    decoded = ".".join(in_letters(label) for label in text[:LONGEST].split("."))
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", decoded)
        if character not in BLANK and unicodedata.category(character) not in ("Mn", "Me", "Cf", "Cc")
    )
    # Without spaces, since blank letters may be drawn as one.
    folded = in_latin("".join(in_latin(plain).casefold().split()))
    for alike, letter in _ALIKE:
        folded = folded.replace(alike, letter)
    return folded[:LONGEST]


def in_letters(label: str) -> str:
    """A label of a handle in the letters that it stands for; as it is where it stands for none."""
    if not label.lower().startswith("xn--"):
        return label
    try:
        return idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        return label


def in_latin(text: str) -> str:
    """Letters beyond ASCII that look like Latin ones replaced by those."""
    foreign = "".join(character for character in text if not character.isascii())
    if not foreign:
        return text
    # The list is read when it is imported, and most processes never need it.
    from confusable_homoglyphs import confusables

    found = confusables.is_confusable(foreign, greedy=True) or []
    latin = {each["character"]: _latin_of(each["homoglyphs"]) for each in found} | _DRAWN_AS
    return "".join(latin.get(character) or character for character in text)


def _latin_of(homoglyphs: list[dict[str, str]]) -> str:
    """A small letter before a large one: handles have no large ones."""
    letters = [each["c"] for each in homoglyphs if each["c"].isascii() and each["c"].isalpha()]
    return next((letter for letter in letters if letter.islower()), letters[0] if letters else "")
