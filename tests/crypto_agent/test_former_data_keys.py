"""Former versions of data keys: encrypting again what is under them, and destroying what nothing needs."""
# ruff: noqa: S608 (nobody but a test gives the queries their names)

import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto_agent import former_data_keys, key_store
from crypto_agent.client import (
    AgentLocked,
    FormerDataKeys,
    IndexItem,
    RestingItem,
    SealedContent,
)
from crypto_agent.data_key_rotation import rotate_data_key
from tests.crypto_agent.people import BOB, WRITTEN_AT
from tests.crypto_agent.persons import PASSPHRASE, locked_person, new_person, refused
from tests.crypto_agent.running_agent import Agent, running_agent


def _let_time_pass(agent: Agent, did: str, days: int) -> None:
    """As if all versions had been made so many days ago."""
    at = str((datetime.now(UTC) - timedelta(days=days)).replace(tzinfo=None))
    owner = f"SELECT id FROM crypto_agent_account WHERE did = '{did}'"
    agent.execute(f"UPDATE crypto_agent_datakey SET created_at = '{at}' WHERE account_id = ({owner})")


def _versions(agent: Agent, did: str) -> list[int]:
    rows = agent.execute(
        "SELECT version FROM crypto_agent_datakey k JOIN crypto_agent_account a ON a.id = account_id"
        f" WHERE did = '{did}' ORDER BY version"
    )
    return [version for (version,) in rows]


def test_what_rests_outside_is_encrypted_again_and_is_the_same(either_agent: Agent) -> None:
    web, worker = either_agent.client(), either_agent.client("worker")
    did = new_person(either_agent)
    message = web.compose(did, [BOB], "Good morning", created_at=WRITTEN_AT).content
    draft = web.seal_draft(did, "ab" * 16, b"a draft")
    file = web.encrypt_file(did, "1", "a.txt", "text/plain", 3, [b"abc"], lambda _: None).sealed
    web.rotate_data_key(did)
    ids = {"conversation_id": message.conversation_id, "message_id": message.message_id}
    items = [
        RestingItem("message", message.sealed, **ids),
        RestingItem("draft", draft, draft_id="ab" * 16),
        RestingItem("file", file, file_id="1"),
        # Nothing that is in another place, or of another kind.
        RestingItem("message", message.sealed, conversation_id=message.conversation_id, message_id="00" * 32),
        RestingItem("draft", draft, draft_id="00" * 16),
        RestingItem("file", file, file_id="2"),
        RestingItem("file", draft, file_id="1"),
    ]
    first, second, third, *others = worker.seal_again(did, items)
    assert others == [None] * 4
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first[2:6], second[1:5], third[1:5]) == ((2).to_bytes(4, "big"),) * 3
    _let_time_pass(either_agent, did, 8)
    assert FormerDataKeys(did, 2) in worker.former_data_keys().accounts
    assert worker.destroy_data_keys(did, 2) == 0, "a backup may need it"
    _let_time_pass(either_agent, did, 38)
    assert worker.destroy_data_keys(did, 2) == 1
    assert did not in {account.did for account in worker.former_data_keys().accounts}
    again = SealedContent(message.conversation_id, message.message_id, first)
    assert web.read(did, [again])[0].text == "Good morning"
    assert web.open_drafts(did, [("ab" * 16, second), ("ab" * 16, draft)]) == [b"a draft", None]
    files = [RestingItem("file", blob, file_id="1") for blob in (third, file)]
    assert [one is None for one in worker.seal_again(did, files)] == [False, True]
    # It is what the account wrote, as before, and is signed.
    assert worker.seal(did, again, []).sealed


def test_versions_are_kept_that_something_may_need(agent: Agent) -> None:
    web, worker, did = agent.client(), agent.client("worker"), new_person(agent)
    message = web.compose(did, [BOB], "found", created_at=WRITTEN_AT).content
    worker.index_messages(did, [IndexItem(message, did, WRITTEN_AT)])
    for _ in range(3):
        web.rotate_data_key(did)
    assert worker.destroy_data_keys(did, 4) == 0, "something may be on its way"
    assert did not in {account.did for account in worker.former_data_keys().accounts}
    _let_time_pass(agent, did, 37)
    before = web.key_status().late_former_data_keys
    _let_time_pass(agent, did, 38)
    assert web.key_status().late_former_data_keys == before + 1
    assert worker.destroy_data_keys(did, 3) == 1, "the first has the index"
    assert _versions(agent, did) == [1, 3, 4]
    assert worker.destroy_data_keys(did, 99) == 1, "nor is the newest destroyed, whatever is said"
    assert _versions(agent, did) == [1, 4]
    assert web.search(did, "found").found
    assert web.rotate_data_key(did) == 5
    with refused("NotPermitted"):
        web.destroy_data_keys(did, 2)


def test_a_locked_account_waits_to_be_unlocked_and_stays_so(agent: Agent) -> None:
    web, worker = agent.client(), agent.client("worker")
    did, locked = locked_person(agent)
    mine = web.unlocked(locked.session.token)
    draft = mine.seal_draft(did, "ab" * 16, b"a draft")
    mine.rotate_data_key(did)
    item = RestingItem("draft", draft, draft_id="ab" * 16)
    web.lock_now(did, everywhere=True)
    _let_time_pass(agent, did, 38)
    assert did not in {account.did for account in worker.former_data_keys().accounts}
    with pytest.raises(AgentLocked):
        worker.seal_again(did, [item])
    again = web.unlocked(web.unlock(did, PASSPHRASE, lifetime_s=600).token)
    assert FormerDataKeys(did, 3) in worker.former_data_keys().accounts
    (sealed,) = worker.seal_again(did, [item])
    assert sealed
    late = web.key_status().late_former_data_keys
    assert worker.destroy_data_keys(did, 3) == 2
    assert web.key_status().late_former_data_keys == late - 1, "a locked account is late, too"
    assert again.open_drafts(did, [("ab" * 16, sealed), ("ab" * 16, draft)]) == [b"a draft", None]


def test_a_destroyed_version_is_gone_from_the_files(own_agent: Agent) -> None:
    web, worker, did = own_agent.client(), own_agent.client("worker"), new_person(own_agent)
    first = bytes(own_agent.execute("SELECT wrapped FROM crypto_agent_datakey")[0][0])
    web.rotate_data_key(did)
    _let_time_pass(own_agent, did, 38)

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in own_agent.directory.glob("agent.sqlite3*"))

    assert first in files()
    assert worker.destroy_data_keys(did, 2) == 1
    assert first not in files()


def test_a_destroyed_version_that_a_reader_held_in_the_log_is_gone_from_there_later(tmp_path: Path) -> None:
    with running_agent(tmp_path, WAXWING_AGENT_PREKEY_DESTRUCTION_SECONDS="0.5") as agent:
        web, worker, did = agent.client(), agent.client("worker"), new_person(agent)
        first = bytes(agent.execute("SELECT wrapped FROM crypto_agent_datakey")[0][0])
        web.rotate_data_key(did)
        _let_time_pass(agent, did, 38)

        def lies_there() -> bool:
            return any(first in path.read_bytes() for path in tmp_path.glob("agent.sqlite3*"))

        with closing(sqlite3.connect(agent.database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM crypto_agent_datakey").fetchall()
            assert worker.destroy_data_keys(did, 2) == 1
            assert lies_there()
            reader.execute("COMMIT")
        give_up = time.monotonic() + 15
        while lies_there() and time.monotonic() < give_up:
            time.sleep(0.1)
        assert not lies_there()


@pytest.mark.django_db
def test_a_page_of_stuck_accounts_keeps_nobody_from_being_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(former_data_keys, "MOST_LISTED", 2)
    now = datetime(2026, 11, 20, tzinfo=UTC)
    dids = [f"did:plc:{number:024d}" for number in range(4)]
    for did in dids:
        key_store.new_account(did, now - timedelta(days=40), os.urandom)
        rotate_data_key(did, now - timedelta(days=39), os.urandom)
    key_store.new_account("did:plc:with-one-version", now - timedelta(days=40), os.urandom)
    seen, cursor = [], None
    for _ in range(2):
        page = former_data_keys.list_former(now, cursor)
        seen += [account.did for account in page.accounts]
        cursor = int(page.cursor) if page.cursor else None
    assert (seen, cursor) == (dids, None)
