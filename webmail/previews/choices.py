"""What an account chose of previews: while they are off, no page is asked for anything."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.models import Account
from accounts.prepared_rows import PreparedValues
from webmail.message_state import State
from webmail.models import PreviewChoice

_OFFERED = PreparedValues(
    lambda account: PreviewChoice.objects.filter(account=account).values_list("offered")
)


def offered(account: Account) -> bool:
    """Whether previews of links are offered while somebody writes."""
    return (False,) not in _OFFERED.rows(account.pk)


def choose(account: Account, offered: bool) -> None:
    """Offer previews from now on, or never."""
    PreviewChoice.objects.update_or_create(account=account, defaults={"offered": offered})


def settings_json(account: Account) -> list[State]:
    """The choice as an account's export carries it."""
    rows = PreviewChoice.objects.filter(account=account)
    return [{"offered": row.offered} for row in rows]


def take_settings(account: Account, choices: Sequence[State]) -> None:
    """Take the choice of an export over where nothing was chosen here; what cannot be one is left out."""
    for choice in choices:
        match choice:
            case {"offered": bool(offered)}:
                PreviewChoice.objects.get_or_create(account=account, defaults={"offered": offered})
