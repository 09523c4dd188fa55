"""Transactions of one process queue up before they ask SQLite, and give their turn back however they end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connections, transaction

from accounts.sqlite_in_turn import base

ALIAS = "in-turn"


@pytest.fixture(autouse=True)
def database(django_db_blocker: Any, tmp_path: Path) -> Iterator[None]:
    """A file that is asked only once whether another transaction is under way."""
    connections.databases[ALIAS] = {
        **connections.databases["default"],
        "ENGINE": "accounts.sqlite_in_turn",
        "NAME": str(tmp_path / "turns.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA busy_timeout=0",
        },
    }
    with django_db_blocker.unblock():
        try:
            execute("CREATE TABLE names (name TEXT UNIQUE)")
            yield
        finally:
            connections[ALIAS].close()
            del connections[ALIAS]
            del connections.databases[ALIAS]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def execute(sql: str, *values: str) -> list[tuple[Any, ...]]:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def write(name: str) -> None:
    try:
        with transaction.atomic(using=ALIAS):
            execute("INSERT INTO names VALUES (%s)", name)
    finally:
        connections[ALIAS].close()


@contextmanager
def a_transaction(pool: ThreadPoolExecutor) -> Iterator[None]:
    """One that another thread has begun."""
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic(using=ALIAS):
                begun.set()
                assert may_end.wait(30)
        finally:
            connections[ALIAS].close()

    held: Future[None] = pool.submit(hold)
    assert begun.wait(30)
    try:
        yield
    finally:
        may_end.set()
        held.result(30)


def test_a_transaction_waits_for_that_of_another_thread(pool: ThreadPoolExecutor) -> None:
    with a_transaction(pool):
        waiting = [pool.submit(write, f"name {number}") for number in range(3)]
        with pytest.raises(TimeoutError):
            waiting[0].result(0.3)
    for each in waiting:
        each.result(30)
    assert execute("SELECT count(*) FROM names") == [(3,)]


def test_who_waits_too_long_is_left_to_sqlite(pool: ThreadPoolExecutor) -> None:
    connections.databases[ALIAS]["OPTIONS"]["timeout"] = 0.05
    with a_transaction(pool), pytest.raises(OperationalError, match="locked"):
        pool.submit(write, "name").result(30)
    pool.submit(write, "name").result(30)


def fails() -> None:
    write("twice")
    with pytest.raises(IntegrityError):
        write("twice")


def is_closed() -> None:
    with suppress(DatabaseError), transaction.atomic(using=ALIAS):
        connections[ALIAS].close()


def is_not_begun() -> None:
    connections[ALIAS].ensure_connection()
    connections[ALIAS].connection.execute("BEGIN")
    with pytest.raises(OperationalError), transaction.atomic(using=ALIAS):
        pass
    connections[ALIAS].connection.execute("ROLLBACK")


@pytest.mark.parametrize("ended", [fails, is_closed, is_not_begun])
def test_the_turn_is_given_back(pool: ThreadPoolExecutor, ended: Callable[[], None]) -> None:
    def and_close() -> None:
        try:
            ended()
        finally:
            connections[ALIAS].close()

    pool.submit(and_close).result(30)
    pool.submit(write, "name").result(10)


def test_a_child_does_not_wait_for_its_parents_threads(pool: ThreadPoolExecutor) -> None:
    with a_transaction(pool):
        child = os.fork()
        if child == 0:
            os._exit(0 if base.TURNS.take(1) else 1)
        assert os.waitpid(child, 0)[1] == 0
