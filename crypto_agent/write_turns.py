"""Transactions that write, one after the other: SQLite lets one connection write at a time.

Whoever comes meanwhile would ask SQLite again after pauses that get longer, and may so be overtaken for
seconds. The threads of this process queue up here before they ask at all.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from django.db import connection, transaction

#: As long as SQLite itself is asked (see settings.DATABASES); then it decides.
LONGEST_WAIT_S = 20.0
_held_by_writer = threading.RLock()


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
    """Waits until no other thread of this process has its turn, but no longer than ``longest_wait_s``."""
    taken = _held_by_writer.acquire(timeout=longest_wait_s)
    try:
        yield
    finally:
        if taken:
            _held_by_writer.release()
