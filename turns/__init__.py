"""Threads of one process that take turns, first come, first served.

SQLite lets one connection write at a time. Whoever comes meanwhile would ask it again after pauses that get
longer, and may be overtaken for seconds. Threads queue up here before they ask at all, so that of each
process one asks at a time, and the next begins at once when one has ended.
"""

from __future__ import annotations

import os
import threading
from bisect import insort
from itertools import count


class Turn:
    """One thread's turn, from when it was taken until it is ended, by whichever thread."""

    def __init__(self, turns: Turns, place: int) -> None:
        self._turns = turns
        self._place = place
        #: Locked as long as it waits.
        self._waits = threading.Lock()

    def end(self) -> None:
        """Whoever waits longest is next. Does nothing once it has ended."""
        self._turns._end(self)


class Turns:
    """One turn at a time. Whoever takes one again at once comes after those who wait already.

    Kept as long as the process: a child begins without the turns of its parent's threads.
    """

    _changing: threading.Lock
    _current: Turn | None
    _waiting: list[Turn]

    def __init__(self) -> None:
        self._places = count()
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def take(self, longest_wait_s: float, *, after: Turn | None = None) -> Turn | None:
        """A turn, once those who came before have had theirs; None if that takes longer.

        After another turn of the same thread it has its place: before those who came later.
        """
        turn = Turn(self, next(self._places) if after is None else after._place)
        with self._changing:
            if self._current is None:
                self._current = turn
                return turn
            turn._waits.acquire()
            insort(self._waiting, turn, key=_place)
        try:
            came = turn._waits.acquire(timeout=longest_wait_s)
        except BaseException:
            self._end(turn)
            raise
        return turn if came or self._came_while_leaving(turn) else None

    def _begin(self) -> None:
        self._changing = threading.Lock()
        self._current = None
        self._waiting = []

    def _came_while_leaving(self, turn: Turn) -> bool:
        with self._changing:
            if self._current is turn:
                return True
            self._waiting.remove(turn)
            return False

    def _end(self, turn: Turn) -> None:
        with self._changing:
            if self._current is not turn:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                return
            self._current = self._waiting.pop(0) if self._waiting else None
            if self._current is not None:
                self._current._waits.release()


def _place(turn: Turn) -> int:
    return turn._place
