"""Threads compute in turn, and let others go on while they wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from turns import Turns, computing


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


@pytest.fixture(autouse=True)
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    monkeypatch.setattr(computing, "LONGEST_WAIT_S", 20.0)
    return Turns()


def _until_waiting(turns: Turns, many: int) -> None:
    until = time.monotonic() + 10
    while len(turns._waiting) < many:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_each_has_its_turn_in_the_order_of_coming(pool: ThreadPoolExecutor, turns: Turns) -> None:
    served: list[int] = []
    at_once: list[int] = []

    def work(number: int) -> None:
        with computing.in_turn(turns):
            at_once.append(number)
            time.sleep(0.01)
            assert at_once == [number]
            at_once.clear()
            served.append(number)

    with computing.in_turn(turns):
        doing = []
        for number in range(5):
            doing.append(pool.submit(work, number))
            _until_waiting(turns, number + 1)
    for each in doing:
        each.result(10)
    assert served == list(range(5))


def test_who_waits_for_another_lets_others_go_on(pool: ThreadPoolExecutor, turns: Turns) -> None:
    answered = threading.Event()
    with computing.in_turn(turns):
        with computing.waiting(), computing.waiting():
            pool.submit(_in_turn, turns, answered.set).result(10)
        doing = pool.submit(_in_turn, turns, lambda: None)
        _until_waiting(turns, 1)
        assert not doing.done(), "the turn is this thread's again"
    doing.result(10)
    assert answered.is_set()
    with computing.waiting():
        assert not turns._current, "a thread without turns takes none"


def test_who_waited_goes_on_before_those_that_came_later(pool: ThreadPoolExecutor, turns: Turns) -> None:
    served: list[str] = []
    has_turn, may_end = threading.Event(), threading.Event()

    def holder() -> None:
        has_turn.set()
        may_end.wait(10)

    with computing.in_turn(turns):
        with computing.waiting():
            held = pool.submit(_in_turn, turns, holder)
            assert has_turn.wait(10)
            later = pool.submit(_in_turn, turns, partial(served.append, "came later"))
            _until_waiting(turns, 1)
            pool.submit(_once_waiting, turns, 2, may_end.set)
        served.append("waited")
    for each in (held, later):
        each.result(10)
    assert served == ["waited", "came later"]


def test_a_failure_ends_the_turn(turns: Turns) -> None:
    with pytest.raises(ValueError, match="within"), computing.in_turn(turns), computing.waiting():
        raise ValueError("within")
    assert not turns._current
    assert not hasattr(computing._here, "turn")


def test_nobody_waits_long_for_one_that_waits_unseen(
    pool: ThreadPoolExecutor, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "LONGEST_WAIT_S", 0.01)
    with computing.in_turn(turns):
        for _ in range(3):
            pool.submit(_in_turn, turns, lambda: None).result(10)
        pool.submit(_in_turn, turns, _wait_for_nothing).result(10)
        assert turns._current
    assert not turns._current


def _in_turn(turns: Turns, work: Callable[[], object]) -> None:
    with computing.in_turn(turns):
        work()


def _once_waiting(turns: Turns, many: int, act: Callable[[], None]) -> None:
    _until_waiting(turns, many)
    act()


def _wait_for_nothing() -> None:
    with computing.waiting():
        pass
