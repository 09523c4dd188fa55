"""What was written as an answer while the mailbox could not be reached: shown again on the mail's page.

Nothing of it was sent, since whom an answer goes to is read from the mail. It is encrypted as answers on
their way are (in_transit.py), and kept until it is sent or thrown away, or for so many days.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from accounts.models import Account
from webmail.models import UnsentAnswer
from webmail.ordinary import in_transit

KEPT_FOR = timedelta(days=30)


@dataclass(frozen=True, repr=False)
class Written:
    """What stood in the form. `token` is that of its page, so that it is sent once."""

    token: str
    text: str
    to_all: bool
    with_quote: bool


def keep(account: Account, arrival_id: int, written: Written, *, now: datetime) -> None:
    """Keep it for the page of that mail of the account, instead of what was kept there before."""
    sealed = in_transit.sealed(json.dumps(asdict(written)).encode())
    UnsentAnswer.objects.update_or_create(
        account=account, arrival_id=arrival_id, defaults={"sealed": sealed, "written_at": now}
    )


def kept(account: Account, arrival_id: int) -> Written | None:
    """What is kept for the page of a mail; None also where the present key does not open it."""
    row = UnsentAnswer.objects.filter(account=account, arrival_id=arrival_id).first()
    if row is None:
        return None
    try:
        return Written(**json.loads(in_transit.unsealed(row.sealed)))
    except in_transit.Unreadable:
        return None


def let_go(account: Account, arrival_id: int) -> None:
    """Keep it no longer. May run twice."""
    UnsentAnswer.objects.filter(account=account, arrival_id=arrival_id).delete()


def drop_old(now: datetime) -> None:
    """Let go of what nobody came back for."""
    UnsentAnswer.objects.filter(written_at__lte=now - KEPT_FOR).delete()
