"""From one version of the operator's key to the next: nothing is lost, whenever it is killed."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from crypto_agent.client import KeyStatus, KeyVersion
from crypto_agent.operator_keys.key_file import read_key_file
from tests.crypto_agent.killing import KILLS, killer
from tests.crypto_agent.people import ALICE, BOB, CAROL
from tests.crypto_agent.running_agent import Agent, running_agent
from tests.services.postgres import new_database
from tests.services.programs import need

#: More than fifty runs get done before they are killed, on a fast machine too.
ROWS = 4000


@pytest.fixture(params=["sqlite", "postgres"])
def agent_to_rotate(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    """An agent on each kind of database, that the test has for itself."""
    url = ""
    if request.param == "postgres":
        need("PostgreSQL")
        url = new_database(request.getfixturevalue("postgres"), "rotation")
    with running_agent(tmp_path, url) as agent:
        yield agent


def test_a_version_is_replaced_while_the_agent_runs(agent_to_rotate: Agent) -> None:
    agent = agent_to_rotate
    web, worker = agent.client("web"), agent.client("worker")
    for did in (ALICE, BOB):
        web.create_device(did, "alice.test", "mail.test")
    assert agent.command("key_status").stdout == "version 1: 2 data keys; present, newest\n"
    assert web.key_status() == KeyStatus([KeyVersion(1, 2, True, True, None)], 0, 0, None)
    agent.command("make_operator_key", "--next").check_returncode()
    status = agent.command("key_status").stdout
    assert status == "version 1: 2 data keys; present\nversion 2: 0 data keys; present, newest\n"

    refused = agent.command("retire", "1")
    assert refused.returncode == 1
    assert "still used by 2 data keys" in refused.stderr
    assert "newest" in agent.command("retire", "2").stderr
    assert "no version 9" in agent.command("retire", "9").stderr

    rewrapped = agent.command("rewrap").stdout.splitlines()
    assert rewrapped == [
        "0 of 2 data keys wrapped again.",
        "2 of 2 data keys wrapped again.",
        "All data keys are wrapped by version 2.",
    ]
    assert agent.command("rewrap").stdout.splitlines()[0] == "0 of 0 data keys wrapped again."
    known = web.key_status()
    assert known.versions == [KeyVersion(1, 0, True, False, None), KeyVersion(2, 2, True, True, None)]
    agent.command("retire", "1").check_returncode()
    agent.command("retire", "1").check_returncode()
    recorded = agent.execute(
        "SELECT purpose, count, outcome FROM crypto_agent_auditentry"
        " WHERE caller = 'command' ORDER BY sequence"
    )
    assert [tuple(row) for row in recorded] == [
        ("makeOperatorKey", 1, "ok"),
        ("rewrap", 2, "ok"),
        ("retire", 1, "ok"),
    ]
    assert web.key_status().versions[0].retired_at
    first, second = agent.command("key_status").stdout.splitlines()
    assert first.startswith("version 1: 0 data keys; present, retired ")
    assert second == "version 2: 2 data keys; present, newest"

    # The agent started with version 1 alone; it must neither lose an account nor wrap by it again.
    web.create_device(CAROL, "carol.test", "mail.test")
    assert worker.open(ALICE, [b"no envelope"])[0].error
    versions = agent.execute("SELECT key_version, COUNT(*) FROM crypto_agent_datakey GROUP BY key_version")
    assert [tuple(row) for row in versions] == [(2, 3)]
    keep = read_key_file(agent.operator_key)
    assert keep.versions == {1, 2}
    lines = agent.operator_key.read_text().splitlines()
    agent.operator_key.write_text(lines[1] + "\n")
    agent.kill()
    agent.start()
    web.rotate_prekey(CAROL, web.list_devices(CAROL)[0].fingerprint, force=True)


def test_an_agent_with_a_retired_version_alone_writes_nothing(own_agent: Agent) -> None:
    old = own_agent.operator_key.read_text()
    web = own_agent.client()
    own_agent.command("make_operator_key", "--next").check_returncode()
    own_agent.command("retire", "1").check_returncode()
    own_agent.operator_key.write_text(old)
    with pytest.raises(Exception, match="OperatorKeyMismatch"):
        web.create_device(ALICE, "alice.test", "mail.test")
    assert own_agent.execute("SELECT COUNT(*) FROM crypto_agent_datakey")[0][0] == 0


def test_killed_at_any_time_it_goes_on_and_nothing_is_lost(own_agent: Agent) -> None:
    own_agent.running.stop()
    data_keys = _fill(own_agent)
    own_agent.command("make_operator_key", "--next").check_returncode()
    rewrapped = []
    with killer(own_agent, "rewrap", steps=6, seconds=0.02) as kill:
        for _ in range(KILLS):
            kill()
            rewrapped.append(_check(own_agent, data_keys))
    assert rewrapped == sorted(rewrapped)
    assert 0 < rewrapped[-1] < ROWS, "the kills came too late to be a test"
    own_agent.command("rewrap").check_returncode()
    assert _check(own_agent, data_keys) == ROWS
    own_agent.command("retire", "1").check_returncode()


def _fill(agent: Agent) -> dict[str, bytes]:
    """Accounts with data keys wrapped by version 1, in the agent's own tables; the data keys by DID."""
    operator_key = read_key_file(agent.operator_key)
    data_keys = {f"did:plc:{number:024}": os.urandom(32) for number in range(ROWS)}
    with closing(sqlite3.connect(agent.database)) as database, database:
        for number, (did, data_key) in enumerate(data_keys.items(), 1):
            database.execute(
                "INSERT INTO crypto_agent_account (id, did, created_at, last_search_segment) "
                "VALUES (?, ?, '2026-11-20', 0)",
                (number, did),
            )
            database.execute(
                "INSERT INTO crypto_agent_datakey "
                "(account_id, version, wrapped, key_version, lock_id, created_at) "
                "VALUES (?, 1, ?, 1, '', '2026-11-20')",
                (number, operator_key.wrap(data_key, did, 1, os.urandom)),
            )
    return data_keys


def _check(agent: Agent, data_keys: dict[str, bytes]) -> int:
    """Every account's data key opens by the version that its row names; how many by version 2."""
    operator_key = read_key_file(agent.operator_key)
    rows = agent.execute(
        "SELECT did, wrapped, key_version FROM crypto_agent_datakey"
        " JOIN crypto_agent_account ON crypto_agent_account.id = account_id"
    )
    assert {did: operator_key.unwrap(wrapped, did, 1, version) for did, wrapped, version in rows} == data_keys
    return sum(version == 2 for _, _, version in rows)
