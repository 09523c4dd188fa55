"""The rows of the people whom an account knows: made as they write or are written to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from accounts.models import Account
from webmail.models import Contact


def know(account: Account, dids: Iterable[str], now: datetime) -> None:
    """Make the rows that there are none of yet. Call within a transaction or alone; may run twice."""
    others = {did for did in dids if did != account.did}
    if not others:
        return
    known = set(Contact.objects.filter(account=account, did__in=others).values_list("did", flat=True))
    Contact.objects.bulk_create(
        [Contact(account=account, did=did, first_seen_at=now) for did in sorted(others - known)],
        ignore_conflicts=True,
    )


def accept(account: Account, dids: Iterable[str], now: datetime) -> None:
    """The account wrote to these people, or took what they wrote. Who is blocked stays so."""
    others = {did for did in dids if did != account.did}
    know(account, others, now)
    Contact.objects.filter(account=account, did__in=others, standing=Contact.Standing.NONE).update(
        standing=Contact.Standing.ACCEPTED
    )
