"""Threads of a process that compute in turn, and let another one go on while they wait for others.

Python lets one thread compute at a time anyway. Left alone, all that have something to do take turns of a few
milliseconds: with five requests each is answered when the work of all five is nearly done, and some wait far
longer than others. First come, first served, each is answered when its own work is done.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from turns import Turn, Turns

#: Whoever waits longer goes on beside those that have turns, which may themselves wait for something unseen.
LONGEST_WAIT_S = 0.15

_turns = Turns()
#: Of each thread that has turns: the present one; None while it waits, or goes on beside others.
_here = threading.local()


def let_compute(at_once: int) -> None:
    """Has so many threads of this process have their turn at a time. Called before there are any."""
    global _turns
    _turns = Turns(at_once)


@contextmanager
def in_turn() -> Iterator[None]:
    """What this thread computes here has its turn: it waits for those that came before, within reason."""
    _here.turn = _turns.take(LONGEST_WAIT_S)
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
        _here.turn = _turns.take(LONGEST_WAIT_S, after=turn)
