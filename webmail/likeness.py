"""Names that look like somebody else's: another person with the name, or nearly the handle, of one known.

Pure functions over what is known; a likeness is a reason to look twice, and no more than that.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import idna
from confusable_homoglyphs import confusables

Kind = Literal["former-handle", "handle", "name"]

#: Names longer than this are compared by their beginning.
LONGEST = 253
#: Where the Unicode list names another letter than the one that it is drawn as: the small palochka.
_DRAWN_AS = {"\u04cf": "l"}
#: What reads alike in Latin letters, after everything was made lower case.
_ALIKE = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("|", "l"), ("i", "l"))


@dataclass(frozen=True)
class Known:
    """Somebody whom an account knows. `name` is empty where they call themselves nothing but their handle;
    `former_handles` are those that they were seen with before."""

    did: str
    handle: str
    name: str
    former_handles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Likeness:
    """`former-handle`: the handle was somebody else's; `handle`: it reads like somebody else's; `name`: the
    display name is somebody else's name."""

    kind: Kind
    like: Known

    @property
    def key(self) -> str:
        """What an account remembers of a likeness that it put away, 64 hex digits."""
        return hashlib.sha256(f"{self.kind} {self.like.did}".encode()).hexdigest()


def likeness(someone: Known, known: Iterable[Known]) -> Likeness | None:
    """The strongest likeness of somebody to one of those known; None if there is none."""
    others = [each for each in known if each.did != someone.did]
    for kind, is_like in (
        ("former-handle", _had_handle),
        ("handle", _handle_reads_like),
        ("name", _has_name),
    ):
        for other in others:
            if is_like(someone, other):
                return Likeness(kind, other)  # type: ignore[arg-type]
    return None


@lru_cache(maxsize=4096)
def skeleton(text: str) -> str:
    """What a handle or name is read as: two texts that look alike have the same one.

    Labels in punycode are decoded, marks and invisible characters left out, letters of other scripts replaced
    by the Latin ones that they look like (Unicode confusables), and Latin look-alikes made one.
    """
    decoded = ".".join(in_letters(label) for label in text[:LONGEST].split("."))
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", decoded)
        if unicodedata.category(character) not in ("Mn", "Me", "Cf", "Cc")
    )
    folded = in_latin(" ".join(in_latin(plain).casefold().split()))
    for alike, letter in _ALIKE:
        folded = folded.replace(alike, letter)
    return folded


def _had_handle(someone: Known, other: Known) -> bool:
    return bool(someone.handle) and someone.handle in other.former_handles


def _handle_reads_like(someone: Known, other: Known) -> bool:
    if not someone.handle or not other.handle:
        return False
    return skeleton(someone.handle) == skeleton(other.handle)


def _has_name(someone: Known, other: Known) -> bool:
    """Their name, or their handle, as one's own display name."""
    if not someone.name:
        return False
    name = skeleton(someone.name)
    return bool(name) and name in {skeleton(other.name) if other.name else "", skeleton(other.handle)}


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
    found = confusables.is_confusable(foreign, greedy=True) or []
    latin = {each["character"]: _latin_of(each["homoglyphs"]) for each in found} | _DRAWN_AS
    return "".join(latin.get(character) or character for character in text)


def _latin_of(homoglyphs: list[dict[str, str]]) -> str:
    """A small letter before a large one: handles have no large ones."""
    letters = [each["c"] for each in homoglyphs if each["c"].isascii() and each["c"].isalpha()]
    return next((letter for letter in letters if letter.islower()), letters[0] if letters else "")
