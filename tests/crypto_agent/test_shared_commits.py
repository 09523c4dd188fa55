"""What several threads write at the same time: in one transaction, and each undone alone."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from django.utils import timezone

from crypto_agent import shared_commits
from crypto_agent.models import Account
from crypto_agent.shared_commits import durably
from crypto_agent.write_turns import turn

THREADS = 6


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module", autouse=True)
def kept_tables() -> Iterator[None]:
    """Threads see what others committed alone; but the audit log lets nobody empty its table afterwards."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TransactionTestCase, "_fixture_teardown", lambda _test: None)
        yield


@pytest.fixture(autouse=True)
def accounts(transactional_db: None) -> Iterator[None]:
    yield
    Account.objects.all().delete()


def test_what_waits_together_is_committed_together() -> None:
    commit = BaseDatabaseWrapper._commit
    with patch.object(BaseDatabaseWrapper, "_commit", autospec=True, side_effect=commit) as committed:
        written = _at_the_same_time([partial(_write, f"did:plc:{number}") for number in range(THREADS)])
        assert [future.result() for future in written] == [f"did:plc:{number}" for number in range(THREADS)]

    assert Account.objects.count() == THREADS
    assert committed.call_count == 1


def test_what_fails_is_undone_alone() -> None:
    good, bad, worse = _at_the_same_time(
        [partial(_write, "did:plc:good"), partial(_write_and_fail, "did:plc:bad"), partial(_write, None)]
    )

    assert good.result() == "did:plc:good"
    with pytest.raises(KeyError):
        bad.result()
    with pytest.raises(DatabaseError):
        worse.result()
    assert [account.did for account in Account.objects.all()] == ["did:plc:good"]


def test_where_one_can_not_be_undone_alone_all_fail() -> None:
    def broken() -> str:
        _write("did:plc:broken")
        # As SQLite does by itself when the disk is full.
        connection.connection.execute("ROLLBACK")
        raise DatabaseError("the disk is full")

    written = _at_the_same_time([partial(_write, "did:plc:before"), broken])

    for future in written:
        with pytest.raises(DatabaseError):
            future.result()
    assert not Account.objects.exists()


def test_within_a_transaction_it_is_a_part_of_that_one() -> None:
    with transaction.atomic():
        durably(partial(_write, "did:plc:part"))
        transaction.set_rollback(True)
    assert not Account.objects.exists()


def _write(did: str | None) -> str | None:
    Account.objects.create(did=did, created_at=timezone.now())
    return did


def _write_and_fail(did: str) -> str:
    _write(did)
    raise KeyError(did)


def _at_the_same_time(works: list[Callable[[], str | None]]) -> list[Future[str | None]]:
    """Each done durably by a thread of its own, after all of them had to wait for one turn."""

    def do(work: Callable[[], str | None]) -> str | None:
        try:
            return durably(work)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads, turn():
        futures = []
        for number, work in enumerate(works, 1):
            futures.append(threads.submit(do, work))
            while len(shared_commits._waiting) < number:
                time.sleep(0.001)
        return futures
