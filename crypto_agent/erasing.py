"""Erasing an account: every key of it is destroyed, so that nothing sealed for it opens again."""

from functools import partial

from django.db import transaction

from crypto_agent import key_store, write_ahead_log
from crypto_agent.models import Account


def erase_account(did: str) -> bool:
    """Destroys the account's data keys and all that they protect, in the caller's transaction.

    Returns whether there was anything to destroy. What the audit log says of it stays.
    """
    account = Account.objects.select_for_update().filter(did=did).first()
    if account is None:
        return False
    account.delete()
    transaction.on_commit(partial(key_store.forget, did))
    transaction.on_commit(write_ahead_log.empty)
    return True
