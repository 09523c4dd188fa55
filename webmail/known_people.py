"""Of the people on a page, who reads like somebody else whom the account knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.handles import INVALID_HANDLE
from accounts.models import Account, Peer
from accounts.prepared_rows import PreparedValues
from webmail import contacts
from webmail.likeness import Known, Likeness, likeness
from webmail.models import Contact

#: More people than these are not compared with: those whom the account came to know last are.
MOST = 2000


def likenesses(account: Account, dids: Iterable[str]) -> dict[str, Likeness]:
    """Whom each of these people reads like, for those who read like somebody; in one query.

    Whom the account accepted may be imitated, and so may its own person.
    """
    wanted = set(dids) - {account.did}
    if not wanted:
        return {}
    everybody = [
        (Known(did, "" if handle == INVALID_HANDLE else handle, display_name), is_accepted)
        for did, handle, display_name, is_accepted in _EVERYBODY.rows(account.pk, list(wanted))
    ]
    known = [someone for someone, is_accepted in everybody if is_accepted]
    known.append(Known(account.did, account.handle, account.display_name))
    found = {
        someone.did: likeness(someone, known) for someone, _is_accepted in everybody if someone.did in wanted
    }
    return {did: like for did, like in found.items() if like is not None}


def _everybody(account: int, wanted: Sequence[str]) -> QuerySet[Peer, tuple[str, str, str, bool]]:
    accepted = Contact.objects.filter(account=account, standing=Contact.Standing.ACCEPTED)
    newest = accepted.order_by("-first_seen_at").values("did")[:MOST]
    rows = Peer.objects.annotate(accepted=Exists(accepted.filter(did=OuterRef("did"))))
    rows = rows.filter(Q(did__in=wanted) | Q(did__in=newest)).order_by("did")
    return rows.values_list("did", "handle", "display_name", "accepted")


_EVERYBODY = PreparedValues(_everybody)


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
