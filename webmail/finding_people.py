"""People to write to by name or handle, among those whom an account knows. Nobody is asked for it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import Account, Peer
from webmail.conversations import in_list
from webmail.models import Contact, ConversationMember, GraphEntry
from webmail.people import Person, person

#: Of those accepted, those in conversations, and those followed so many each, the latest. All of
#: them are read while somebody types; others are found by their whole handle.
MOST_KNOWN = 500
MOST_SHOWN = 8
#: Words of what is typed that are looked for, and characters of it.
MOST_WORDS = 6
LONGEST = 200

#: Letters with a stroke or in one piece, which Unicode does not take apart.
_IN_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_BETWEEN_WORDS = re.compile(r"[\s.\-_,()@]+")


@dataclass(frozen=True)
class Suggestion:
    """Somebody who may be meant. `accepted`: the account wrote to them, or accepted them."""

    person: Person
    accepted: bool
    followed: bool


def suggested(account: Account, typed: str, *, leaving_out: Collection[str] = ()) -> list[Suggestion]:
    """Who of those whom the account knows has all words of ``typed`` in their name or handle, in two queries.

    Those are people it accepted, people in conversations of its list, and people it follows of whom anything
    is known here; nobody whom it blocks. The likeliest come first, MOST_SHOWN at most; accents do not count.
    """
    words = folded(typed[:LONGEST]).removeprefix("@").split()[:MOST_WORDS]
    if not words:
        return []
    left_out = {account.did, *leaving_out}
    found = [
        (rank, suggestion)
        for suggestion in _known(account)
        if suggestion.person.did not in left_out
        and (rank := _rank(words, suggestion.person.name, suggestion.person.handle)) is not None
    ]
    found.sort(key=lambda each: (each[0], not each[1].accepted, not each[1].followed, each[1].person.name))
    return [suggestion for _rank, suggestion in found[:MOST_SHOWN]]


def folded(text: str) -> str:
    """Text without accents and case, as it is compared."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(one for one in apart if unicodedata.category(one) not in ("Mn", "Cf", "Cc"))
    return plain.casefold().translate(_IN_PLAIN)


def _rank(words: Iterable[str], name: str, handle: str) -> int | None:
    """0 where each word begins one of theirs, 1 where it is within; None where one is in neither."""
    name, handle = folded(name), folded(handle)
    begins = (handle, *_BETWEEN_WORDS.split(f"{name} {handle}"))
    rank = 0
    for word in words:
        if any(begin.startswith(word) for begin in begins):
            continue
        # One letter is somewhere in nearly every name.
        if len(word) < 2 or (word not in name and word not in handle):
            return None
        rank = 1
    return rank


def _known(account: Account) -> Iterator[Suggestion]:
    known: dict[str, tuple[str, str, bool, bool, bool]] = {}
    for did, handle, name, accepted, followed, picture in _rows(Peer, account, "avatar"):
        known[did] = (handle, name, bool(picture), accepted, followed)
    for did, handle, name, accepted, followed in _rows(Account, account):
        known[did] = (handle, name, did in known and known[did][2], accepted, followed)
    for did, (handle, name, picture, accepted, followed) in known.items():
        yield Suggestion(person(did, handle, name, picture), accepted, followed)


def _rows(model: type[Peer] | type[Account], account: Account, *more: str) -> QuerySet[Any, Any]:
    """Those of this model whom the account knows: DID, handle, name, whether accepted, whether followed."""
    contacts = Contact.objects.filter(account=account)
    entries = GraphEntry.objects.filter(account=account)
    accepted = contacts.filter(standing=Contact.Standing.ACCEPTED)
    followed = entries.filter(kind=GraphEntry.Kind.FOLLOW)
    partners = ConversationMember.objects.filter(conversation__in=in_list(account))
    rows = model._default_manager.filter(
        Q(did__in=accepted.order_by("-first_seen_at", "-pk").values("did")[:MOST_KNOWN])
        | Q(did__in=partners.order_by("-conversation__last_activity", "-pk").values("did")[:MOST_KNOWN])
        | Q(did__in=followed.order_by("-pk").values("did")[:MOST_KNOWN])
    )
    rows = rows.exclude(did__in=contacts.filter(standing=Contact.Standing.BLOCKED).order_by().values("did"))
    rows = rows.exclude(did__in=entries.filter(kind=GraphEntry.Kind.BLOCK).order_by().values("did"))
    rows = rows.annotate(
        accepted=Exists(accepted.filter(did=OuterRef("did"))),
        followed=Exists(followed.filter(did=OuterRef("did"))),
    )
    return rows.order_by("did").values_list("did", "handle", "display_name", "accepted", "followed", *more)
