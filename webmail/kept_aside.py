"""What could not be opened or checked: each with its reason, and a retry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Account
from webmail import intake, reasons
from webmail.conversations import NotFound
from webmail.models import Arrival

#: Reasons that trying again cannot change.
FINAL = frozenset({"ordinary-mail", "gone"})


@dataclass(frozen=True)
class KeptAside:
    id: int
    envelope_id: str
    code: str
    reason: str
    arrived_at: datetime
    size: int
    can_retry: bool


def kept_aside(account: Account, *, limit: int = 200) -> list[KeptAside]:
    """The account's mails that were kept aside, newest first."""
    rows = Arrival.objects.filter(account=account, state=Arrival.State.KEPT_ASIDE)
    return [_kept(row) for row in rows[:limit]]


def count(account: Account) -> int:
    """How many mails are kept aside, ordinary mail not counted."""
    rows = Arrival.objects.filter(account=account, state=Arrival.State.KEPT_ASIDE)
    return rows.exclude(reason="ordinary-mail").count()


def retry(account: Account, arrival_id: int) -> KeptAside | None:
    """Try one again: None when it could be opened this time. Raises NotFound, MailboxError, AgentError."""
    try:
        arrival = intake.retry(account, arrival_id)
    except Arrival.DoesNotExist as error:
        raise NotFound(str(arrival_id)) from error
    return _kept(arrival) if arrival.state == Arrival.State.KEPT_ASIDE else None


def _kept(arrival: Arrival) -> KeptAside:
    return KeptAside(
        id=arrival.pk,
        envelope_id=arrival.envelope_id,
        code=arrival.reason,
        reason=reasons.of_kept_aside(arrival.reason),
        arrived_at=arrival.arrived_at,
        size=arrival.size,
        can_retry=arrival.reason not in FINAL,
    )
