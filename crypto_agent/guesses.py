"""How often an account's passphrase may be guessed: five times, then after growing waits.

A guess counts before anything is derived, in the database, in a transaction of its own. So neither guesses at
the same time nor a restart give more of them.
"""

import math
from datetime import datetime, timedelta

from django.db import transaction

from crypto_agent.errors import TooManyGuesses
from crypto_agent.models import AccountCustody

FREE_GUESSES = 5
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)


def wait_after(guesses: int) -> timedelta:
    """How long no further guess is taken after so many that were not right."""
    if guesses < FREE_GUESSES:
        return timedelta()
    doublings = min(guesses - FREE_GUESSES, 10)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def count(did: str, now: datetime) -> None:
    """Counts a guess that is about to be tried; raises TooManyGuesses."""
    with transaction.atomic(durable=True):
        custody = AccountCustody.objects.select_for_update().filter(account__did=did).first()
        if custody is None:
            return
        if custody.wait_until is not None and custody.wait_until > now:
            raise TooManyGuesses(math.ceil((custody.wait_until - now).total_seconds()))
        custody.guesses += 1
        custody.wait_until = now + wait_after(custody.guesses) if custody.guesses >= FREE_GUESSES else None
        custody.save(update_fields=["guesses", "wait_until"])


def forgive(did: str) -> None:
    """Begins to count anew, after a right passphrase or a new one."""
    AccountCustody.objects.filter(account__did=did).update(guesses=0, wait_until=None)
