"""Data keys are replaced on the agent's own clock, and what is under former ones moves on."""
# ruff: noqa: S608 (nobody but a test gives the queries their names)

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto_agent import data_key_renewal, key_store
from crypto_agent.client import IndexItem
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT
from tests.crypto_agent.persons import PASSPHRASE, locked_person, new_person
from tests.crypto_agent.running_agent import READ_ONLY, Agent, running_agent
from tests.services.postgres import new_database
from tests.services.programs import need

LONG_AGO, NOW = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
OLD = "UPDATE crypto_agent_datakey SET created_at = '2024-01-01 00:00:00'"


@pytest.fixture(params=["sqlite", "postgres"])
def renewing_agent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Agent]:
    """An agent on each kind of database that looks for old data keys all the time."""
    url = ""
    if request.param == "postgres":
        need("PostgreSQL")
        url = new_database(request.getfixturevalue("postgres"), "renewal")
    with running_agent(tmp_path, url, WAXWING_AGENT_DATA_KEY_RENEWAL_SECONDS="0.3") as agent:
        yield agent


def _wait_until(there: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not there() and time.monotonic() < give_up:
        time.sleep(0.1)
    assert there()


def _indexed(agent: Agent, did: str, texts: list[str]) -> None:
    """Each in a segment of its own."""
    for minute, text in enumerate(texts):
        at = WRITTEN_AT + timedelta(minutes=minute)
        message = agent.client().compose(did, [BOB], text, created_at=at).content
        assert agent.client("worker").index_messages(did, [IndexItem(message, did, at)]) == []


def _versions(agent: Agent, did: str, table: str, column: str) -> list[int]:
    rows = agent.execute(
        f"SELECT DISTINCT {column} FROM crypto_agent_{table} t JOIN crypto_agent_account a"
        f" ON a.id = t.account_id WHERE did = '{did}' ORDER BY {column}"
    )
    return [version for (version,) in rows]


def test_old_data_keys_are_replaced_and_the_index_moves_on(renewing_agent: Agent) -> None:
    agent, web = renewing_agent, renewing_agent.client()
    did = new_person(agent)
    _indexed(agent, did, [f"word {number}" for number in range(10)])
    locked, _ = locked_person(agent)
    web.lock_now(locked, everywhere=True)
    assert web.status().late_data_keys == 0
    agent.execute(OLD)

    _wait_until(lambda: _versions(agent, did, "searchsegment", "key_version") == [2])
    assert _versions(agent, did, "archivekey", "key_version") == [2]
    assert len(web.search(did, "word").found) == 10
    entry = (
        "SELECT caller, outcome FROM crypto_agent_auditentry"
        f" WHERE did = '{did}' AND purpose = 'rotateDataKey'"
    )
    assert [tuple(row) for row in agent.execute(entry)] == [("schedule", "ok")]

    assert web.status().late_data_keys == 1
    assert _versions(agent, locked, "datakey", "version") == [1, 2]
    web.unlock(locked, PASSPHRASE, lifetime_s=600)
    _wait_until(lambda: web.status().late_data_keys == 0)
    assert _versions(agent, locked, "datakey", "version") == [1, 2, 3]


def test_none_is_replaced_where_the_operator_wants_none(tmp_path: Path) -> None:
    never = {"WAXWING_AGENT_DATA_KEY_RENEWAL_SECONDS": "0.2", "WAXWING_AGENT_DATA_KEY_DAYS": "0"}
    with running_agent(tmp_path, **never) as agent:
        did = new_person(agent)
        agent.execute(OLD)
        time.sleep(1)
        assert _versions(agent, did, "datakey", "version") == [1]
        assert agent.client().status().late_data_keys == 0


def test_the_command_moves_on_what_an_earlier_one_left(own_agent: Agent) -> None:
    agent, web = own_agent, own_agent.client()
    did = new_person(agent)
    _indexed(agent, did, ["one", "two", "three"])
    web.rotate_data_key(did)
    assert _versions(agent, did, "searchsegment", "key_version") == [1]
    damaged = "UPDATE crypto_agent_searchsegment SET sealed = x'00' WHERE number = 1"
    agent.execute(damaged)
    done = agent.command("rotate_data_keys")
    assert done.stdout.splitlines() == [
        "0 data keys rotated, 0 late.",
        "2 segments of search indexes are under the newest data keys.",
    ]
    assert _versions(agent, did, "searchsegment", "key_version") == [1, 2]
    agent.command("rotate_data_keys").check_returncode()
    on_record = "SELECT count FROM crypto_agent_auditentry WHERE purpose = 'moveIndex'"
    assert [row[0] for row in agent.execute(on_record)] == [2], "what does not open adds nothing to the log"
    # What does not open keeps the former key, and that is told.
    assert web.key_status().late_former_data_keys == 0
    agent.execute(OLD)
    assert agent.client("worker").destroy_data_keys(did, 2) == 0
    assert web.key_status().late_former_data_keys == 1


def test_an_index_moves_on_on_record_alone(own_agent: Agent) -> None:
    agent, web = own_agent, own_agent.client()
    did = new_person(agent)
    _indexed(agent, did, ["one"])
    web.rotate_data_key(did)
    agent.execute(READ_ONLY)
    refused = agent.command("rotate_data_keys")
    assert "the audit log can't be written" in refused.stderr
    assert _versions(agent, did, "searchsegment", "key_version") == [1]
    agent.execute("DROP TRIGGER read_only")
    agent.command("rotate_data_keys").check_returncode()
    assert _versions(agent, did, "searchsegment", "key_version") == [2]
    entry = "SELECT caller, did, count, outcome FROM crypto_agent_auditentry WHERE purpose = 'moveIndex'"
    assert [tuple(row) for row in agent.execute(entry)] == [("command", did, 1, "ok")]


@pytest.mark.django_db
def test_two_that_replace_the_same_key_at_once_make_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    account, _ = key_store.new_account(ALICE, LONG_AGO, os.urandom)
    older_than = data_key_renewal.older_than

    def seen_by_both(moment: datetime) -> list[str]:
        found = older_than(moment)
        # The other one is faster.
        monkeypatch.setattr(data_key_renewal, "older_than", lambda _: found)
        data_key_renewal.renew(NOW, os.urandom)
        return found

    monkeypatch.setattr(data_key_renewal, "older_than", seen_by_both)
    data_key_renewal.renew(NOW, os.urandom)
    assert list(account.data_keys.order_by("version").values_list("version", flat=True)) == [1, 2]
    # Who asks for another one gets it.
    assert data_key_renewal.replace(ALICE, data_key_renewal.COMMAND, NOW, os.urandom)
    assert account.data_keys.count() == 3
