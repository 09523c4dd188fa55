"""Transactions that several threads share: one commit makes durable what all of them wait for.

Every call writes to the audit log before it is answered. With a commit each, calls that come at the same time
would wait for the disk as often as there are calls before them.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, connection, transaction

from crypto_agent.write_turns import turn

Value = TypeVar("Value")


class _Work(Generic[Value]):
    """What one thread wants done, and how that ended."""

    def __init__(self, do: Callable[[], Value]) -> None:
        self._do = do
        self._value: Value
        self.error: BaseException | None = None
        self.has_ended = False

    def run(self) -> None:
        with transaction.atomic():
            self._value = self._do()

    def outcome(self) -> Value:
        if self.error is not None:
            raise self.error
        return self._value


#: Whoever waits looks that nobody is at it for good: a commit takes milliseconds.
LONGEST_WAIT_S = 30.0

_changed = threading.Condition()
_waiting: list[_Work[Any]] = []
#: Whether a thread commits, or waits for its turn to.
_is_led = False


def durably(do: Callable[[], Value]) -> Value:
    """What ``do`` returns, called in a transaction that was committed; perhaps in another thread, and in one
    transaction with what others gave.

    What it raises undoes what it did alone. Raises DatabaseError if the transaction can't be begun or
    committed, or nobody knows in time whether it was. Within a transaction it is a part of that one.
    """
    global _is_led
    work = _Work(do)
    if connection.in_atomic_block:
        work.run()
        return work.outcome()
    with _changed:
        _waiting.append(work)
        if not _changed.wait_for(lambda: work.has_ended or not _is_led, LONGEST_WAIT_S):
            if work in _waiting:
                _waiting.remove(work)
            raise DatabaseError("another thread does not end to commit")
        if work.has_ended:
            return work.outcome()
        _is_led = True
    try:
        with turn():
            with _changed:
                together = _waiting[:]
                _waiting.clear()
            _commit(together)
    finally:
        with _changed:
            _is_led = False
            _changed.notify_all()
    return work.outcome()


def _commit(together: Sequence[_Work[Any]]) -> None:
    """Does all in one transaction, each in a part of it; says to each how it ended once that is sure."""
    try:
        with transaction.atomic() if len(together) > 1 else nullcontext():
            for work in together:
                try:
                    work.run()
                except Exception as error:
                    work.error = error
            if connection.in_atomic_block and transaction.get_rollback():
                # Django would undo all and say nothing: what failed could not be undone alone.
                raise DatabaseError("the transaction can't be committed")
    except BaseException as error:
        for work in together:
            work.error = work.error or error
    finally:
        for work in together:
            work.has_ended = True
