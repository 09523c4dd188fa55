"""The rows of the people whom an account knows: made as they write or are written to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from webmail.models import Contact

_STANDINGS = PreparedRows(
    lambda account, *dids: (
        Contact.objects.filter(account=account, did__in=dids).order_by().only("did", "standing")
    )
)


def know(account: Account, seen: Mapping[str, datetime], *, accepted: Collection[str] = ()) -> None:
    """Make the rows of people, by DID with when they were seen first, that there are none of yet.

    Those ``accepted`` of them the account wrote to, or it took what they wrote. Who is blocked stays so. Call
    within a transaction or alone; may run twice.
    """
    others = seen.keys() - {account.did}
    if not others:
        return
    standings = {row.did: row.standing for row in _STANDINGS.rows(account.pk, *others)}
    Contact.objects.bulk_create(
        [
            Contact(account=account, did=did, first_seen_at=seen[did])
            for did in sorted(others - standings.keys())
        ],
        ignore_conflicts=True,
    )
    none = Contact.Standing.NONE
    # Another process may have made a row meanwhile: the database decides on those that seem to be new.
    undecided = [did for did in accepted if did in others and standings.get(did, none) == none]
    if undecided:
        Contact.objects.filter(account=account, did__in=undecided, standing=none).update(
            standing=Contact.Standing.ACCEPTED
        )


def accept(account: Account, seen: Mapping[str, datetime]) -> None:
    """The account wrote to all of these people, or took what they wrote; as ``know``."""
    know(account, seen, accepted=seen.keys())
