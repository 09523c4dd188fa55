"""Transactions one after the other: SQLite lets one connection write at a time.

Whoever comes meanwhile would ask SQLite again after pauses that get longer, and may be overtaken for long.
The threads of this process wait here before they ask at all, so that of each process one asks at a time, and
the next begins at once when one has ended.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from django.db.backends.sqlite3 import base

_turn = threading.Lock()


def _forget_turns_of_parent() -> None:
    global _turn
    _turn = threading.Lock()


os.register_at_fork(after_in_child=_forget_turns_of_parent)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that waits for its turn before a transaction, as long as SQLite would be asked (its option
    ``timeout``); then SQLite decides. Its transactions are expected to write (``transaction_mode``)."""

    #: The lock that this connection's transaction has, from before it begins until it has ended.
    _held: threading.Lock | None = None

    def _start_transaction_under_autocommit(self) -> None:
        turn = _turn
        if self._held is None and turn.acquire(timeout=float(self.settings_dict["OPTIONS"]["timeout"])):
            self._held = turn
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._end_turn()
            raise

    def _commit(self) -> Any:
        try:
            return super()._commit()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _close(self) -> Any:
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.release()
