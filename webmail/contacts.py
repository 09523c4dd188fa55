"""The rows of the people whom an account knows: made as they write or are written to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from accounts.models import Account
from webmail.models import Contact


def know(account: Account, seen: Mapping[str, datetime]) -> None:
    """Make the rows of people, by DID with when they were seen first, that there are none of yet.

    Call within a transaction or alone; may run twice.
    """
    others = seen.keys() - {account.did}
    if not others:
        return
    known = set(Contact.objects.filter(account=account, did__in=others).values_list("did", flat=True))
    Contact.objects.bulk_create(
        [Contact(account=account, did=did, first_seen_at=seen[did]) for did in sorted(others - known)],
        ignore_conflicts=True,
    )


def accept(account: Account, seen: Mapping[str, datetime]) -> None:
    """The account wrote to these people, or took what they wrote; as ``know``. Who is blocked stays so."""
    others = seen.keys() - {account.did}
    if not others:
        return
    know(account, seen)
    Contact.objects.filter(account=account, did__in=others, standing=Contact.Standing.NONE).update(
        standing=Contact.Standing.ACCEPTED
    )
