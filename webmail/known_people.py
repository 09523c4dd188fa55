"""Of the people on a page, who reads like somebody else whom the account knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from accounts.handles import INVALID_HANDLE
from accounts.models import Account, Peer, PeerEvent
from accounts.prepared_rows import PreparedValues
from accounts.skeletons import skeleton
from webmail import contacts
from webmail.likeness import Known, Likeness, likeness
from webmail.models import Contact, GraphEntry


def likenesses(account: Account, dids: Iterable[str]) -> dict[str, Likeness]:
    """Whom each of these people reads like, for those who read like somebody; in two queries.

    Whom the account accepted or follows may be imitated, as far as their names are known here, and so may
    its own person.
    """
    someones, known = _compared(account, dids)
    return _likenesses(someones, known, {})


def not_put_away(account: Account, dids: Iterable[str]) -> dict[str, Likeness]:
    """As ``likenesses``, without those of which the account has said that it knows; in one query more where
    there are any."""
    someones, known = _compared(account, dids)
    found = _likenesses(someones, known, {})
    if not found:
        return {}
    contacts_of = Contact.objects.filter(account=account, did__in=found).exclude(likeness_put_away="")
    put_away = {did: keys.split() for did, keys in contacts_of.values_list("did", "likeness_put_away")}
    alike = [someone for someone in someones if someone.did in found]
    return _likenesses(alike, known, put_away) if put_away else found


def put_away(account: Account, did: str, key: str) -> None:
    """The account has seen whom somebody reads like, as the key of the likeness says; it is not told again
    until that is somebody else."""
    like = not_put_away(account, [did]).get(did)
    if like is not None and like.key == key:
        contacts.know(account, {did: timezone.now()})
        seen = Concat("likeness_put_away", Value(f" {key}"))
        Contact.objects.filter(account=account, did=did).update(likeness_put_away=seen)


def _compared(account: Account, dids: Iterable[str]) -> tuple[list[Known], list[Known]]:
    """These people, but for the account's own person, and the known ones whom they may read like."""
    wanted = set(dids) - {account.did}
    someones = [_known(did, handle, name) for did, handle, name in _BY_DID.rows(list(wanted))]
    handles = [someone.handle for someone in someones if someone.handle]
    read_as = {skeleton(text) for someone in someones for text in (someone.handle, someone.name)} - {""}
    known = [
        _known(did, handle, name, former)
        for did, handle, name, former in _ALIKE.rows(account.pk, list(read_as), handles or [_NO_HANDLE])
    ]
    known.append(Known(account.did, account.handle, account.display_name))
    return someones, known


def _likenesses(
    someones: Iterable[Known], known: Sequence[Known], put_away: Mapping[str, Collection[str]]
) -> dict[str, Likeness]:
    found = {someone.did: likeness(someone, known, put_away.get(someone.did, ())) for someone in someones}
    return {did: like for did, like in found.items() if like is not None}


def _known(did: str, handle: str, name: str, former: str = "") -> Known:
    return Known(did, "" if handle == INVALID_HANDLE else handle, name, (former,) if former else ())


def _alike(
    account: int, read_as: Sequence[str], handles: Sequence[str]
) -> QuerySet[Peer, tuple[str, str, str, str]]:
    """Known people who read like one of those sought, and those who had a handle of theirs before."""
    accepted = Contact.objects.filter(
        account=account, did=OuterRef("did"), standing=Contact.Standing.ACCEPTED
    )
    followed = GraphEntry.objects.filter(account=account, did=OuterRef("did"), kind=GraphEntry.Kind.FOLLOW)
    known = Peer.objects.filter(Exists(accepted) | Exists(followed)).order_by()
    alike = known.filter(Q(handle_skeleton__in=read_as) | Q(name_skeleton__in=read_as))
    had_it = known.filter(events__kind=PeerEvent.Kind.HANDLE, events__former__in=handles)
    return (
        alike.annotate(former=Value(""))
        .values_list(*_OF_PEERS, "former")
        .union(had_it.values_list(*_OF_PEERS, "events__former"), all=True)
        .order_by("did")
    )


#: What nobody ever had as a handle.
_NO_HANDLE = "-"
_OF_PEERS = ("did", "handle", "display_name")
_BY_DID = PreparedValues(
    lambda dids: Peer.objects.filter(did__in=dids).order_by("did").values_list(*_OF_PEERS)
)
_ALIKE = PreparedValues(_alike)
