"""Threads that write to SQLite wait for each other before they ask it, and never within a transaction."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from crypto_agent.write_turns import turn, writing


@pytest.fixture
def others_turn() -> Iterator[threading.Event]:
    """Another thread has its turn until the event is set."""
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with turn():
            entered.set()
            leave.wait(10)

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(hold)
        assert entered.wait(10)
        yield leave
        leave.set()
        done.result(10)


def _enter(entered: threading.Event) -> None:
    with turn():
        entered.set()


def test_who_comes_second_waits_until_the_first_is_done(others_turn: threading.Event) -> None:
    second = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_enter, second)
        assert not second.wait(0.2)
        others_turn.set()
        assert second.wait(10)


def test_nobody_waits_for_ever(others_turn: threading.Event) -> None:
    with turn(0.01):
        assert not others_turn.is_set()


def test_who_fails_gives_their_turn_back() -> None:
    with pytest.raises(ZeroDivisionError), turn():
        raise ZeroDivisionError
    entered = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_enter, entered).result(10)
    assert entered.is_set()


@pytest.mark.django_db
def test_within_a_transaction_nobody_waits_for_a_turn(
    others_turn: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the turn may be waiting for that transaction."""
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setattr("crypto_agent.write_turns.turn", pytest.fail)
    assert connection.in_atomic_block
    with writing():
        assert not others_turn.is_set()
