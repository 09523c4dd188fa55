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

    def again(self, longest_wait_s: float) -> Turn | None:
        """Another one once it has ended, in its place: before those of whoever came later. None if that
        takes longer."""
        return self._turns._take(longest_wait_s, self._place)


class Turns:
    """So many turns at a time. Whoever takes one again at once comes after those who wait already.

    Kept as long as the process: a child begins without the turns of its parent's threads.
    """

    _changing: threading.Lock
    _current: list[Turn]
    _waiting: list[Turn]

    def __init__(self, at_once: int = 1) -> None:
        self._at_once = at_once
        self._places = count()
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def take(self, longest_wait_s: float) -> Turn | None:
        """A turn, once those who came before have had theirs; None if that takes longer."""
        return self._take(longest_wait_s, next(self._places))

    def _take(self, longest_wait_s: float, place: int) -> Turn | None:
        turn = Turn(self, place)
        with self._changing:
            if len(self._current) < self._at_once:
                self._current.append(turn)
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
        self._current = []
        self._waiting = []

    def _came_while_leaving(self, turn: Turn) -> bool:
        with self._changing:
            if turn in self._current:
                return True
            self._waiting.remove(turn)
            return False

    def _end(self, turn: Turn) -> None:
        with self._changing:
            if turn not in self._current:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                return
            self._current.remove(turn)
            if self._waiting:
                came = self._waiting.pop(0)
                self._current.append(came)
                came._waits.release()


def _place(turn: Turn) -> int:
    return turn._place
