"""Transactions of the agent that write to SQLite, one after the other: see `turns`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from django.db import connection, transaction

from turns import Turns

#: As long as SQLite itself is asked (see settings.DATABASES); then it decides.
LONGEST_WAIT_S = 20.0
_TURNS = Turns()
_here = threading.local()


@contextmanager
def writing() -> Iterator[None]:
    """A transaction, or a part of the one at hand. Other processes are held up by SQLite's own lock alone."""
    # Within a transaction SQLite's lock may be this thread's already: to wait for a turn then would be to
    # wait for somebody who waits for that lock.
    waits = connection.vendor == "sqlite" and not connection.in_atomic_block
    with turn() if waits else nullcontext(), transaction.atomic():
        yield


@contextmanager
def turn(longest_wait_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Waits until all threads of this process that came before have had their turn, but no longer than
    ``longest_wait_s``. Within a turn of this thread, as for what is done on commit, it is a part of that."""
    if getattr(_here, "has_turn", False):
        yield
        return
    taken = _TURNS.take(longest_wait_s)
    _here.has_turn = taken is not None
    try:
        yield
    finally:
        _here.has_turn = False
        if taken is not None:
            taken.end()
