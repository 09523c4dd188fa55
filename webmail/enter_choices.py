"""What Enter does while somebody writes: it begins a new line, or sends."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.models import Account
from webmail.message_state import State


def choose(account: Account, sends: bool) -> None:
    """Let this hold in every browser of the account."""
    Account.objects.filter(pk=account.pk).update(enter_sends=sends)
    account.enter_sends = sends


def settings_json(account: Account) -> list[State]:
    """The choice as an account's export carries it."""
    return [] if account.enter_sends is None else [{"sends": account.enter_sends}]


def take_settings(account: Account, choices: Sequence[State]) -> None:
    """Take the choice of an export over where nothing was chosen here; what cannot be one is left out."""
    for choice in choices:
        match choice:
            case {"sends": bool(sends)}:
                Account.objects.filter(pk=account.pk, enter_sends=None).update(enter_sends=sends)
