"""Transactions one after the other, since SQLite lets one connection write at a time: see `turns`."""

from __future__ import annotations

from typing import Any

from django.db.backends.sqlite3 import base

from turns import Turn, Turns, computing

TURNS = Turns()


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that waits for its turn before a transaction, as long as SQLite would be asked (its option
    ``timeout``); then SQLite decides. Its transactions are expected to write (``transaction_mode``)."""

    #: The turn that this connection's transaction has, from before it begins until it has ended.
    _turn: Turn | None = None

    def _start_transaction_under_autocommit(self) -> None:
        if self._turn is None:
            self._turn = TURNS.take(0) or self._waited_for()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._end_turn()
            raise

    def _waited_for(self) -> Turn | None:
        with computing.waiting():
            return TURNS.take(float(self.settings_dict["OPTIONS"]["timeout"]))

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
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.end()
