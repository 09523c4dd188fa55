"""Names that look like somebody else's: another person with the name, or nearly the handle, of one known.

Pure functions over what is known; a likeness is a reason to look twice, and no more than that.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from accounts.skeletons import skeleton

Kind = Literal["former-handle", "handle", "name"]


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


def likeness(someone: Known, known: Iterable[Known], put_away: Collection[str] = ()) -> Likeness | None:
    """The strongest likeness of somebody to one of those known; None if there is none.

    `put_away` are the keys of likenesses to pass over, with the weaker ones to the same person.
    """
    others = [each for each in known if each.did != someone.did]
    passed_over: set[str] = set()
    for kind, is_like in _STRONGEST_FIRST:
        for other in others:
            found = Likeness(kind, other)
            if put_away and found.key in put_away:
                passed_over.add(other.did)
            if other.did not in passed_over and is_like(someone, other):
                return found
    return None


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
    if not name:
        return False
    if name == skeleton(other.handle):
        return True
    return (
        bool(other.name)
        and name == skeleton(other.name)
        and not _has_initial_within(someone.name, other.name)
        and not _has_initial_within(other.name, someone.name)
    )


def _has_initial_within(name: str, other: str) -> bool:
    """Whether a capital that is a word of ``name``, after an ordinary space, is a small letter within a word
    of ``other``: so "Ann A" is seen to be nobody called "Anna". Spaces that are drawn thin, or not at all,
    part no words."""
    words, others = _letters(name), _letters(other)
    if len(words) != len(others):
        return False
    return any(
        length == 1 and letter.isupper() and small.islower() and place > 0
        for (letter, _place, length), (small, place, _length) in zip(words, others, strict=True)
    )


def _letters(name: str) -> list[tuple[str, int, int]]:
    """Each character that is seen, with its place in its word, and how many that word has."""
    words = [
        [each for each in word if not each.isspace() and unicodedata.category(each) not in ("Mn", "Cf", "Cc")]
        for word in name.replace("\u00a0", " ").split(" ")
    ]
    return [(letter, place, len(word)) for word in words for place, letter in enumerate(word)]


_STRONGEST_FIRST: tuple[tuple[Kind, Callable[[Known, Known], bool]], ...] = (
    ("former-handle", _had_handle),
    ("handle", _handle_reads_like),
    ("name", _has_name),
)
