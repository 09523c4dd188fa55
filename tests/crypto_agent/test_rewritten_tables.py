"""On PostgreSQL a destroyed key is gone from the files of its table, where a deleted row would stay."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from crypto_agent.client import Passphrase
from crypto_agent.rewritten_tables import TABLES
from tests.crypto_agent.people import ALICE, BOB
from tests.crypto_agent.running_agent import Agent, running_agent
from tests.services.postgres import new_database
from tests.services.programs import need

PASSPHRASE, NEXT_PASSPHRASE = "four words and a number 4", "another one, and longer"
ALL_FILES = (
    "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relkind = 'r' AND relname ~ '^crypto_agent_'"
)
EXPIRE = "UPDATE crypto_agent_prekeysecret SET destroy_after = '2026-01-01 00:00:00' WHERE generation = 1"


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """For whoever may do everything there; the agent signs in as somebody who may not."""
    need("PostgreSQL")
    database = new_database(request.getfixturevalue("postgres"), f"rewritten_{uuid4().hex}")
    with psycopg.connect(database) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'keeper'").fetchall():
            connection.execute("CREATE ROLE keeper LOGIN")
        # Not the database's owner, who may do the same with everybody's tables in it.
        connection.execute("GRANT CREATE ON SCHEMA public TO keeper")
    return database


@pytest.fixture
def agent(tmp_path: Path, database: str) -> Iterator[Agent]:
    """One that looks for what is over all the time."""
    of_agent = database.replace("//waxwing@", "//keeper@")
    with running_agent(tmp_path, of_agent, WAXWING_AGENT_PREKEY_DESTRUCTION_SECONDS="0.5") as agent:
        yield agent


def _in_files(database: str, *secrets: bytes) -> bool:
    """Whether one of these lies in a file of a table, as it is on disk."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SHOW data_directory").fetchone()
        assert row
        paths = [Path(row[0]) / path for (path,) in connection.execute(ALL_FILES).fetchall()]
    files = b"".join(path.read_bytes() for path in paths)
    return any(secret in files for secret in secrets)


def _until_gone(database: str, *secrets: bytes) -> None:
    give_up = time.monotonic() + 90
    while _in_files(database, *secrets) and time.monotonic() < give_up:
        time.sleep(0.2)
    assert not _in_files(database, *secrets)


def _rows(agent: Agent, statement: str) -> list[bytes]:
    return [bytes(row[0]) for row in agent.execute(statement)]


def _with_two_prekeys(agent: Agent) -> tuple[bytes, bytes]:
    """Somebody's old prekey and their new one, as they are stored."""
    device = agent.client().create_device(ALICE, "alice.test", "mail.test")
    agent.client().rotate_prekey(ALICE, device.fingerprint, force=True)
    old, new = _rows(agent, "SELECT wrapped_secret FROM crypto_agent_prekeysecret ORDER BY generation")
    return old, new


def test_a_prekey_is_gone_from_the_files_after_its_time(agent: Agent, database: str) -> None:
    old, new = _with_two_prekeys(agent)
    assert _in_files(database, old)
    agent.execute(EXPIRE)
    _until_gone(database, old)
    assert _in_files(database, new)


def test_so_are_a_revoked_device_a_former_lock_and_everything_of_an_erased_account(
    agent: Agent, database: str
) -> None:
    web = agent.client()
    alice = web.create_device(ALICE, "alice.test", "mail.test")
    keys = _rows(agent, "SELECT wrapped FROM crypto_agent_devicekey")
    assert _in_files(database, *keys)
    web.revoke_device(ALICE, alice.fingerprint)
    _until_gone(database, *keys)

    wraps = _rows(agent, "SELECT wrapped FROM crypto_agent_datakey")
    web.make_locked(ALICE, Passphrase("correct horse battery staple"), lifetime_s=600)
    _until_gone(database, *wraps)

    web.create_device(BOB, "bob.test", "mail.test")
    tables = ("datakey", "archivekey", "devicekey", "locksecret")
    columns = [f"SELECT wrapped FROM crypto_agent_{table} WHERE wrapped IS NOT NULL" for table in tables]  # noqa: S608
    everything = [wrapped for column in columns for wrapped in _rows(agent, column)]
    assert len(everything) >= 6
    assert _in_files(database, *everything)
    for did in (ALICE, BOB):
        web.erase_account(did)
    _until_gone(database, *everything)


def test_so_are_operators_keys_before_another_passphrase_and_retired_ones(
    tmp_path: Path, database: str
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    variables = {
        "WAXWING_AGENT_OPERATOR_KEY": f"passphrase:{secret}",
        "WAXWING_AGENT_PREKEY_DESTRUCTION_SECONDS": "0.5",
    }
    with running_agent(tmp_path, database.replace("//waxwing@", "//keeper@"), **variables) as agent:
        (first,) = _rows(agent, "SELECT wrapped FROM crypto_agent_passphrasekey")
        assert _in_files(database, first)
        agent.command("change_passphrase", stdin=f"{PASSPHRASE}\n{NEXT_PASSPHRASE}\n").check_returncode()
        _until_gone(database, first)

        secret.write_text(NEXT_PASSPHRASE)
        agent.command("make_operator_key", "--next").check_returncode()
        retired, kept = _rows(agent, "SELECT wrapped FROM crypto_agent_passphrasekey ORDER BY version")
        agent.command("retire", "1").check_returncode()
        _until_gone(database, retired)
        assert _in_files(database, kept)


def test_somebody_who_reads_or_writes_for_long_holds_it_back_and_is_not_held_up(
    agent: Agent, database: str
) -> None:
    old, _new = _with_two_prekeys(agent)
    with psycopg.connect(database) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1 FROM crypto_agent_account").fetchall()
        agent.execute(EXPIRE)
        _wait_for(agent, b"crypto_agent_prekeysecret is written anew again later")
        assert _in_files(database, old)
        reader.execute("SELECT wrapped_secret FROM crypto_agent_prekeysecret").fetchall()
        _wait_for(agent, b"crypto_agent_prekeysecret is written anew later: LockNotAvailable")
        # It lets others in before it tries again.
        began = time.monotonic()
        assert agent.client().list_devices(ALICE)
        assert time.monotonic() - began < 5
    _until_gone(database, old)


def test_tables_of_another_role_are_named_and_not_taken_for_done(agent: Agent, database: str) -> None:
    began_at = datetime.now(UTC) - timedelta(seconds=30)
    old, _new = _with_two_prekeys(agent)
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE crypto_agent_prekeysecret OWNER TO waxwing")
        connection.execute("GRANT ALL ON crypto_agent_prekeysecret TO keeper")
    agent.execute(EXPIRE)
    _wait_for(agent, b"crypto_agent_prekeysecret can't be written anew")
    assert _in_files(database, old)
    _until(lambda: agent.client().key_status().late_files_since is not None)
    since = agent.client().key_status().late_files_since
    assert since is not None
    assert began_at <= since < datetime.now(UTC) - timedelta(seconds=1.5)
    # Nor does a start make it forget.
    agent.kill()
    agent.start()
    assert agent.client().key_status().late_files_since == since
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE crypto_agent_prekeysecret OWNER TO keeper")
    _until_gone(database, old)
    _until(lambda: agent.client().key_status().late_files_since is None)


def test_where_nothing_was_destroyed_nothing_is_written_anew(agent: Agent, database: str) -> None:
    agent.client().create_device(ALICE, "alice.test", "mail.test")
    paths = "SELECT " + ", ".join(f"pg_relation_filepath('{table}')" for table in TABLES)
    before = _settled(agent, paths)
    time.sleep(3)
    assert agent.execute(paths) == before


def _settled(agent: Agent, paths: str) -> list[tuple[str, ...]]:
    """The files once making the account, which updates some rows, is counted."""
    before: list[tuple[str, ...]] = []
    while (now := agent.execute(paths)) != before:
        before = now
        time.sleep(3)
    return before


def _wait_for(agent: Agent, line: bytes) -> None:
    _until(lambda: line in agent.log)


def _until(there: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not there() and time.monotonic() < give_up:
        time.sleep(0.1)
    assert there()
