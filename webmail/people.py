"""How pages show a person: by name and handle where known, by DID otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Value

from accounts.handles import INVALID_HANDLE
from accounts.models import Account, Peer
from accounts.prepared_rows import PreparedValues

TONES = 6

# As plain values: a page shows a hundred people, and making rows of them costs more than finding them.
#: In one answer, which says of each row whether it is somebody of this installation.
_PEOPLE = PreparedValues(
    lambda dids: (
        Peer.objects.order_by()
        .filter(did__in=dids)
        .values_list("did", "handle", "display_name", "avatar", Value(0))
        .union(
            Account.objects.order_by()
            .filter(did__in=dids)
            .values_list("did", "handle", "display_name", Value(""), Value(1)),
            all=True,
        )
    )
)


@dataclass(frozen=True)
class Person:
    """`tone` (1 to 6) is the colour of the avatar that stands in for a picture."""

    did: str
    handle: str
    name: str
    tone: int
    has_avatar: bool = False

    @property
    def initial(self) -> str:
        """What the avatar shows without a picture."""
        return next((letter.upper() for letter in self.name if letter.isalnum()), "?")


def tone_of(did: str) -> int:
    """The avatar's colour: first byte of the DID's SHA-256, mod 6, plus 1."""
    return hashlib.sha256(did.encode()).digest()[0] % TONES + 1


def people_of(dids: Iterable[str]) -> dict[str, Person]:
    """The people with these DIDs, in one query; every DID asked for is in the answer."""
    wanted = list(set(dids))
    known: dict[str, Person] = {}
    rows = _PEOPLE.rows(wanted)
    for did, handle, display_name, picture, _is_here in sorted(rows, key=lambda row: row[4]):
        has_picture = bool(picture) or (did in known and known[did].has_avatar)
        known[did] = person(did, handle, display_name, has_picture)
    return {did: known.get(did) or person(did, "", "", False) for did in wanted}


def person(did: str, handle: str, display_name: str, has_avatar: bool) -> Person:
    """One person; the name falls back to the handle, the handle to the DID where none leads to it."""
    if handle == INVALID_HANDLE:
        handle = ""
    return Person(did, handle or did, display_name or handle or did, tone_of(did), has_avatar)
