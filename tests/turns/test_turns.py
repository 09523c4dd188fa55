"""Turns are taken in the order in which threads came, and are lost with nobody."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from turns import Turn, Turns


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def taken(turns: Turns, longest_wait_s: float = 10) -> Turn:
    turn = turns.take(longest_wait_s)
    assert turn is not None
    return turn


def waiting(pool: ThreadPoolExecutor, turns: Turns, longest_wait_s: float = 10) -> Future[Turn | None]:
    """A thread that came last and waits."""
    before = len(turns._waiting)
    future = pool.submit(turns.take, longest_wait_s)
    until = time.monotonic() + 10
    while len(turns._waiting) == before:
        assert time.monotonic() < until
        time.sleep(0.001)
    return future


def test_who_came_first_is_served_first(pool: ThreadPoolExecutor) -> None:
    turns = Turns()
    turn = taken(turns)
    came = [waiting(pool, turns) for _ in range(4)]
    for number, each in enumerate(came):
        assert not any(other.done() for other in came[number:])
        turn.end()
        served = each.result(10)
        assert served
        turn = served


def test_as_many_have_one_as_there_are_and_who_ended_goes_before_those_that_came_later(
    pool: ThreadPoolExecutor,
) -> None:
    turns = Turns(2)
    first, second = taken(turns), taken(turns)
    first.end()
    third = taken(turns)
    fourth = waiting(pool, turns)
    again = pool.submit(first.again, 10)
    while len(turns._waiting) < 2:
        time.sleep(0.001)
    second.end()
    assert again.result(10)
    assert not fourth.done()
    third.end()
    assert fourth.result(10)


def test_who_takes_one_again_at_once_overtakes_nobody(pool: ThreadPoolExecutor) -> None:
    turns = Turns()
    served: list[str] = []
    turn = taken(turns)

    def wait() -> None:
        mine = taken(turns)
        served.append("who waited")
        mine.end()

    done = pool.submit(wait)
    while not turns._waiting:
        time.sleep(0.001)
    turn.end()
    again = taken(turns)
    served.append("who had one")
    again.end()
    done.result(10)
    assert served == ["who waited", "who had one"]


def test_who_has_waited_too_long_is_served_no_more(pool: ThreadPoolExecutor) -> None:
    turns = Turns()
    turn = taken(turns)
    assert turns.take(0.01) is None
    patient = waiting(pool, turns)
    turn.end()
    assert patient.result(10)


def test_a_turn_ends_once(pool: ThreadPoolExecutor) -> None:
    turns = Turns()
    first = taken(turns)
    second, third = waiting(pool, turns), waiting(pool, turns)
    first.end()
    assert second.result(10)
    first.end()
    with pytest.raises(TimeoutError):
        third.result(0.1)


def test_who_is_interrupted_leaves_the_line(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns()
    turn = taken(turns)

    class Interrupted:
        def acquire(self, timeout: float = -1) -> bool:
            if timeout >= 0:
                raise KeyboardInterrupt
            return True

    with monkeypatch.context() as patched:
        patched.setattr(threading, "Lock", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            turns.take(10)
    next_one = waiting(pool, turns)
    turn.end()
    assert next_one.result(10)


def test_a_child_begins_without_its_parents_turns() -> None:
    turns = Turns()
    of_parent = taken(turns)
    child = os.fork()
    if child == 0:
        mine = turns.take(1)
        of_parent.end()
        os._exit(0 if mine and turns.take(0.01) is None else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("at_once", [1, 3])
def test_many_threads_have_so_many_turns_at_a_time(pool: ThreadPoolExecutor, at_once: int) -> None:
    turns, here = Turns(at_once), []

    def often() -> int:
        most = 0
        for _ in range(200):
            turn = taken(turns)
            here.append(1)
            most = max(most, len(here))
            here.pop()
            turn.end()
        return most

    assert {future.result(60) for future in [pool.submit(often) for _ in range(8)]} <= set(
        range(1, at_once + 1)
    )
    assert not turns._waiting
