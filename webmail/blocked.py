"""Whom an account blocks, here or by a public record of its own repository, and what that leaves out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from accounts.models import Account
from webmail.models import Contact, GraphEntry, Message


def blocked_since(account: Account) -> dict[str, datetime]:
    """The DIDs that the account blocks, and since when."""
    since = dict(
        GraphEntry.objects.filter(account=account, kind=GraphEntry.Kind.BLOCK).values_list("did", "since")
    )
    here = Contact.objects.filter(account=account, standing=Contact.Standing.BLOCKED)
    for did, blocked_at in here.values_list("did", "blocked_at"):
        if blocked_at is not None:
            since[did] = min(since.get(did, blocked_at), blocked_at)
    return since


def blocked_among(account_id: int, dids: Collection[str]) -> frozenset[str]:
    """Those of these people whom the account with this key blocks."""
    here = Contact.objects.filter(account=account_id, standing=Contact.Standing.BLOCKED, did__in=dids)
    by_record = GraphEntry.objects.filter(account=account_id, kind=GraphEntry.Kind.BLOCK, did__in=dids)
    found = here.exclude(blocked_at=None).order_by().values_list("did", flat=True)
    return frozenset(found.union(by_record.order_by().values_list("did", flat=True)))


def aside_of(since: Mapping[str, datetime], sender: str, placed_at: datetime) -> Message.Aside:
    """Where a message of this sender belongs, given whom the account blocks."""
    if sender not in since:
        return Message.Aside.NO
    return Message.Aside.BLOCKED if placed_at >= since[sender] else Message.Aside.BEFORE


def leaves_list(
    since: Mapping[str, datetime], own_did: str, started_by: str, participants: Sequence[str]
) -> bool:
    """Whether a conversation is left out of the list: one with a blocked person alone, or begun by one."""
    others = [did for did in participants if did != own_did]
    return started_by in since or (len(others) == 1 and others[0] in since)
