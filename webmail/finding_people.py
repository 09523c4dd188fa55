"""People to write to by name or handle, among those whom an account knows. Nobody is asked for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet

from accounts.folded_names import BETWEEN_WORDS, folded
from accounts.models import Account, Peer
from accounts.named import typed_words, with_part
from webmail.conversations import in_list
from webmail.models import Contact, ConversationMember, GraphEntry
from webmail.people import Person, person

#: Of those accepted, those in conversations, and those followed so many each, the latest, are looked
#: through by the database; others are found by their whole handle.
MOST_KNOWN = 20_000
#: Of those found the likeliest are read, of this installation and of others so many each.
MOST_READ = 200
MOST_SHOWN = 8
#: Words of what is typed that are looked for, and characters of it.
MOST_WORDS = 6
LONGEST = 200


@dataclass(frozen=True)
class Suggestion:
    """Somebody who may be meant. `accepted`: the account wrote to them, or accepted them."""

    person: Person
    accepted: bool
    followed: bool


def is_called(typed: str, name: str, handle: str) -> bool:
    """Whether somebody of this name and handle may be meant."""
    words = _words(typed)
    return bool(words) and _rank(words, name, handle) is not None


def suggested(account: Account, typed: str, *, leaving_out: Collection[str] = ()) -> list[Suggestion]:
    """Who of those whom the account knows has all words of ``typed`` in their name or handle, in two queries.

    Those are people it accepted, people in conversations of its list, and people it follows of whom anything
    is known here; nobody whom it blocks. The likeliest come first, MOST_SHOWN at most; accents do not count.
    """
    words = _words(typed)
    if not words:
        return []
    found = [
        (rank, suggestion)
        for suggestion in _found(account, words, {account.did, *leaving_out})
        if (rank := _rank(words, suggestion.person.name, suggestion.person.handle)) is not None
    ]
    found.sort(key=lambda each: (each[0], not each[1].accepted, not each[1].followed, each[1].person.name))
    return [suggestion for _rank, suggestion in found[:MOST_SHOWN]]


def _words(typed: str) -> list[str]:
    return typed_words(typed[:LONGEST])[:MOST_WORDS]


def _rank(words: Sequence[str], name: str, handle: str) -> int | None:
    """0 where each word begins one of theirs, 1 where it is within; None where one is in neither."""
    name, handle = folded(name), folded(handle)
    begins = (handle, *BETWEEN_WORDS.split(f"{name} {handle}"))
    rank = 0
    for word in words:
        if any(begin.startswith(word) for begin in begins):
            continue
        # One letter is somewhere in nearly every name.
        if len(word) < 2 or (word not in name and word not in handle):
            return None
        rank = 1
    return rank


def _found(account: Account, words: Sequence[str], left_out: Collection[str]) -> Iterator[Suggestion]:
    """Those who have the words, by what their account here says of them if they have one."""
    same = {"did": OuterRef("did")}
    peers = Peer.objects.annotate(pictured=_is(~Q(avatar=""))).exclude(Exists(Account.objects.filter(**same)))
    accounts = Account.objects.annotate(pictured=Exists(Peer.objects.filter(**same).exclude(avatar="")))
    for rows in (_known(account, peers), _known(account, accounts)):
        likeliest = _likeliest(rows.exclude(did__in=left_out), words)
        for did, handle, name, pictured, accepted, followed in likeliest[:MOST_READ]:
            yield Suggestion(person(did, handle, name, pictured), accepted, followed)


def _likeliest(rows: QuerySet[Any], words: Sequence[str]) -> QuerySet[Any, Any]:
    """Of these rows those that have all the words, in about the order in which they are shown."""
    begins = Q()
    for word in words:
        begun = with_part(f" {word}")
        begins &= begun
        rows = rows.filter(with_part(word) if len(word) > 1 else begun)
    rows = rows.annotate(begins=_is(begins))
    rows = rows.order_by("-begins", "-accepted", "-followed", "display_name", "handle", "did")
    return rows.values_list("did", "handle", "display_name", "pictured", "accepted", "followed")


def _is(condition: Q) -> ExpressionWrapper[Q]:
    return ExpressionWrapper(condition, output_field=BooleanField())


def _known(account: Account, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Of these rows those whom the account knows and does not block, and whether accepted and followed."""
    contacts = Contact.objects.filter(account=account)
    entries = GraphEntry.objects.filter(account=account)
    accepted = contacts.filter(standing=Contact.Standing.ACCEPTED)
    followed = entries.filter(kind=GraphEntry.Kind.FOLLOW)
    partners = ConversationMember.objects.filter(conversation__in=in_list(account))
    rows = rows.filter(
        Q(did__in=accepted.order_by("-first_seen_at", "-pk").values("did")[:MOST_KNOWN])
        | Q(did__in=partners.order_by("-conversation__last_activity", "-pk").values("did")[:MOST_KNOWN])
        | Q(did__in=followed.order_by("-pk").values("did")[:MOST_KNOWN])
    )
    rows = rows.exclude(did__in=contacts.filter(standing=Contact.Standing.BLOCKED).order_by().values("did"))
    rows = rows.exclude(did__in=entries.filter(kind=GraphEntry.Kind.BLOCK).order_by().values("did"))
    known: QuerySet[Any] = rows.annotate(
        accepted=Exists(accepted.filter(did=OuterRef("did"))),
        followed=Exists(followed.filter(did=OuterRef("did"))),
    )
    return known
