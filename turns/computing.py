"""Threads of a process that compute one at a time, and let another one go on while they wait for others.

Python lets one thread compute at a time anyway. Left alone, all that have something to do take turns of a few
milliseconds: with five requests each is answered when the work of all five is nearly done, and some wait far
longer than others. First come, first served, each is answered when its own work is done.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from turns import Turn, Turns

#: Whoever waits longer goes on beside the one that has the turn, which may itself wait for something unseen.
LONGEST_WAIT_S = 0.15

#: Of each thread that has turns: the present one; None while it waits, or goes on beside another.
_here = threading.local()


@contextmanager
def in_turn(turns: Turns) -> Iterator[None]:
    """What this thread computes here has its turn: it waits for those that came before, within reason."""
    _here.turn = turns.take(LONGEST_WAIT_S)
    try:
        yield
    finally:
        turn: Turn | None = _here.turn
        del _here.turn
        if turn is not None:
            turn.end()


@contextmanager
def waiting() -> Iterator[None]:
    """This thread waits here for another process: others have their turns, and it goes on before those that
    came later.

    Does nothing in threads that have no turns, and none within another.
    """
    turn: Turn | None = getattr(_here, "turn", None)
    if turn is None:
        yield
        return
    _here.turn = None
    turn.end()
    try:
        yield
    finally:
        _here.turn = turn.again(LONGEST_WAIT_S)
