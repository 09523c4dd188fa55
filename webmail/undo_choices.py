"""For how many seconds somebody may take back what they have just sent; 0 where it goes out at once."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from accounts.models import Account
from accounts.prepared_rows import PreparedValues
from webmail.message_state import State
from webmail.models import UndoChoice

OFFERED = (0, 5, 10, 20, 30)
#: Asked for with each message that is sent.
_CHOSEN = PreparedValues(lambda account: UndoChoice.objects.filter(account=account).values_list("seconds"))


def seconds_of(account: Account) -> int:
    """What the account chose, else the installation's time."""
    found = _CHOSEN.rows(account.pk)
    return int(found[0][0]) if found else int(settings.UNDO_SECONDS)


def offered_to(account: Account) -> list[int]:
    """What the account may choose, with what holds for it now, the shortest first."""
    return sorted({*OFFERED, seconds_of(account)})


def choose(account: Account, seconds: int) -> None:
    """Let this hold for what is sent from now on. Raises ValueError for what is not offered."""
    if seconds not in offered_to(account):
        raise ValueError("not offered")
    UndoChoice.objects.update_or_create(account=account, defaults={"seconds": seconds})


def settings_json(account: Account) -> list[State]:
    """The choice as an account's export carries it."""
    rows = UndoChoice.objects.filter(account=account)
    return [{"seconds": row.seconds} for row in rows]


def take_settings(account: Account, choices: Sequence[State]) -> None:
    """Take the choice of an export over where nothing was chosen here; what cannot be one is left out."""
    for choice in choices:
        match choice:
            case {"seconds": int(seconds)} if type(seconds) is int and seconds in OFFERED:
                UndoChoice.objects.get_or_create(account=account, defaults={"seconds": seconds})
