"""Of the people on a page, who reads like somebody else whom the account knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.handles import INVALID_HANDLE
from accounts.models import Account, Peer
from accounts.prepared_rows import PreparedValues
from accounts.skeletons import skeleton
from webmail import contacts
from webmail.likeness import Known, Likeness, likeness
from webmail.models import Contact


def likenesses(account: Account, dids: Iterable[str]) -> dict[str, Likeness]:
    """Whom each of these people reads like, for those who read like somebody; in two queries.

    Whom the account accepted may be imitated, and so may its own person.
    """
    wanted = set(dids) - {account.did}
    someones = [_known(row) for row in _BY_DID.rows(list(wanted))]
    read_as = {skeleton(text) for someone in someones for text in (someone.handle, someone.name)} - {""}
    known = [_known(row) for row in _READ_AS.rows(account.pk, list(read_as), list(read_as))]
    known.append(Known(account.did, account.handle, account.display_name))
    found = {someone.did: likeness(someone, known) for someone in someones}
    return {did: like for did, like in found.items() if like is not None}


def _known(row: Sequence[str]) -> Known:
    did, handle, display_name = row
    return Known(did, "" if handle == INVALID_HANDLE else handle, display_name)


def _read_as(
    account: int, handles: Sequence[str], names: Sequence[str]
) -> QuerySet[Peer, tuple[str, str, str]]:
    accepted = Contact.objects.filter(
        account=account, did=OuterRef("did"), standing=Contact.Standing.ACCEPTED
    )
    alike = Q(handle_skeleton__in=handles) | Q(name_skeleton__in=names)
    return Peer.objects.filter(alike, Exists(accepted)).order_by("did").values_list(*_OF_PEERS)


_OF_PEERS = ("did", "handle", "display_name")
_BY_DID = PreparedValues(
    lambda dids: Peer.objects.filter(did__in=dids).order_by("did").values_list(*_OF_PEERS)
)
_READ_AS = PreparedValues(_read_as)


def not_put_away(account: Account, found: dict[str, Likeness]) -> dict[str, Likeness]:
    """Those of which the account has not said that it knows."""
    if not found:
        return {}
    put_away = dict(
        Contact.objects.filter(account=account, did__in=found)
        .exclude(likeness_put_away="")
        .values_list("did", "likeness_put_away")
    )
    return {did: like for did, like in found.items() if put_away.get(did) != like.key}


def put_away(account: Account, did: str) -> None:
    """The account has seen whom somebody reads like; it is not told again until that is somebody else."""
    like = likenesses(account, [did]).get(did)
    if like is not None:
        contacts.know(account, {did: timezone.now()})
        Contact.objects.filter(account=account, did=did).update(likeness_put_away=like.key)
