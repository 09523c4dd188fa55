"""Prekeys die on the agent's own clock, whether anybody calls it or not."""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.utils import timezone

from crypto_agent import prekey_destruction, rewritten_tables, write_ahead_log
from crypto_agent.models import ClearedFiles
from tests.crypto_agent.people import ALICE, BOB
from tests.crypto_agent.running_agent import Agent, running_agent

EXPIRE = "UPDATE crypto_agent_prekeysecret SET destroy_after = '2026-01-01 00:00:00'"


def _count(agent: Agent) -> int:
    rows = agent.execute("SELECT COUNT(*) FROM crypto_agent_prekeysecret")
    return int(rows[0][0])


def _wait_until_left(agent: Agent, count: int) -> None:
    give_up = time.monotonic() + 30
    while _count(agent) != count and time.monotonic() < give_up:
        time.sleep(0.1)
    assert _count(agent) == count


def _lies_in_files(directory: Path, rows: list[tuple[bytes, ...]]) -> bool:
    files = b"".join(path.read_bytes() for path in directory.glob("agent.sqlite3*"))
    return any(bytes(row[0]) in files for row in rows)


def test_an_expired_prekey_is_destroyed_though_nobody_calls(tmp_path: Path) -> None:
    with running_agent(tmp_path, WAXWING_AGENT_PREKEY_DESTRUCTION_SECONDS="0.5") as agent:
        web = agent.client()
        for did, handle in ((ALICE, "alice.test"), (BOB, "bob.test")):
            device = web.create_device(did, handle, "mail.test")
            web.rotate_prekey(did, device.fingerprint, force=True)
        time.sleep(1)
        assert _count(agent) == 4, "one that is still good was destroyed"
        expired = agent.execute("SELECT wrapped_secret FROM crypto_agent_prekeysecret WHERE generation = 1")
        agent.execute(f"{EXPIRE} WHERE generation = 1")
        _wait_until_left(agent, 2)
        # The rows go first, and what they lay in is worked off a moment later.
        give_up = time.monotonic() + 30
        while _lies_in_files(tmp_path, expired) and time.monotonic() < give_up:
            time.sleep(0.1)
        assert not _lies_in_files(tmp_path, expired)


def test_files_that_a_reader_keeps_are_late_after_some_rounds(tmp_path: Path) -> None:
    with running_agent(tmp_path, WAXWING_AGENT_PREKEY_DESTRUCTION_SECONDS="0.5") as agent:
        web = agent.client()

        def wait_until_late(*, late: bool) -> None:
            give_up = time.monotonic() + 60
            while (web.key_status().late_files_since is not None) != late and time.monotonic() < give_up:
                time.sleep(0.2)
            assert (web.key_status().late_files_since is not None) == late

        web.create_device(ALICE, "alice.test", "mail.test")
        wait_until_late(late=False)
        with closing(sqlite3.connect(agent.database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM crypto_agent_prekeysecret").fetchall()
            agent.execute(EXPIRE)
            wait_until_late(late=True)
        wait_until_late(late=False)


@pytest.mark.django_db
@pytest.mark.parametrize(("log", "tables"), [(True, True), (False, True), (True, False)])
def test_only_a_round_that_cleared_both_counts(
    monkeypatch: pytest.MonkeyPatch, log: bool, tables: bool
) -> None:
    """Neither can be held back here for as long as a real reader would have to."""
    monkeypatch.setattr(write_ahead_log, "empty", lambda: log)
    monkeypatch.setattr(rewritten_tables, "rewrite", lambda: tables)
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    ClearedFiles.objects.update(at=long_ago)
    prekey_destruction._round()
    since = prekey_destruction.files_late_since(timezone.now())
    assert since == (None if log and tables else long_ago)


def test_it_goes_on_after_the_database_failed(tmp_path: Path) -> None:
    with running_agent(tmp_path, WAXWING_AGENT_PREKEY_DESTRUCTION_SECONDS="0.2") as agent:
        agent.client().create_device(ALICE, "alice.test", "mail.test")
        agent.execute("ALTER TABLE crypto_agent_prekeysecret RENAME TO elsewhere")
        give_up = time.monotonic() + 20
        while b"expired prekeys were not destroyed: " not in agent.log and time.monotonic() < give_up:
            time.sleep(0.1)
        agent.execute(
            "ALTER TABLE elsewhere RENAME TO crypto_agent_prekeysecret",
            EXPIRE,
        )
        _wait_until_left(agent, 0)
        assert b"expired prekeys were not destroyed: OperationalError" in agent.log
