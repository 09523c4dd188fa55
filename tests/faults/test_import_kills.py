"""An account's export is taken in while web, worker and agent are killed thirty times."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import psutil
import pytest

from crypto_agent.client import AgentClient, ArchiveItem, SealedContent
from tests.environment import RUN
from tests.installations.test_moving import bring, export_of
from tests.services.inhabited import inhabited_installation
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window, words
from webmail.mailbox.envelope_mail import mail_with_archive

#: Enough that an import takes several kills.
MESSAGES = 240
KILLS = 30
#: Those of them that hit the request that brings the file.
KILLS_OF_UPLOADS = 6
VICTIMS = {"worker": 8, "agent": 2, "web": 1}
SEED = int(os.environ.get("KILLS_SEED", time.time_ns() % 2**32))


@dataclass
class Uploaded:
    """An account that was erased, and what it took along before."""

    running: RunningInstallation
    alice: Window
    bob: Window
    file: bytes
    #: Message ids, each once.
    expected: set[str]
    unread: set[str]
    with_bob: str


@pytest.fixture(scope="module")
def uploaded() -> Iterator[Uploaded]:
    with inhabited_installation(RUN.directory / "import-killed", "alice", "bob") as place:
        running, alice, bob = place.running, *place.people.values()
        with_bob = alice.write([bob.did], "before")
        wait_until(lambda: "Their server has it" in alice.thread(with_bob)[0].state)
        wait_until(lambda: with_bob in bob.rows())
        unread = {bob.reply(with_bob, f"not read {number}") for number in range(3)}
        fill_archive(running, alice.did)
        wait_until(lambda: not running.sql("SELECT id FROM webmail_message WHERE archived_at IS NULL"))
        wait_until(lambda: len(running.mails(alice.did, "Archive")) == MESSAGES + 4)
        expected = {message_id_of(mail) for mail in running.mails(alice.did, "Archive")}
        file = export_of(alice)
        erase(alice)
        yield Uploaded(running, alice, bob, file, expected, unread, with_bob)


def erase(alice: Window) -> None:
    """The repository still shows the device, so that the same one comes back."""

    def erased() -> bool:
        # The agent may be just coming back.
        with suppress(httpx.HTTPError, AssertionError):
            answer = alice.post("/devices/erase/", {"handle": "alice.test", "anyway": "on"})
            return answer.headers.get("Location") == "/erased/"
        return False

    wait_until(erased)
    alice.client.cookies.clear()
    alice.sign_in()


def fill_archive(running: RunningInstallation, did: str) -> None:
    """Many notes to herself, put where the worker puts them."""
    secrets = running.installation.secrets
    url = f"http://127.0.0.1:{running.installation.ports.agent}"
    web = AgentClient(url, secrets.agent_web_token_secret, "web")
    worker = AgentClient(url, secrets.agent_worker_token_secret, "worker")
    began = datetime.now(UTC) - timedelta(days=1)
    items = []
    for number in range(MESSAGES):
        at = began + timedelta(seconds=number)
        composed = web.compose(did, [did], f"note {number}", created_at=at)
        sealed = worker.seal(did, composed.content, []).sealed
        content = SealedContent(composed.conversation_id, composed.message_id, sealed)
        items.append(ArchiveItem(content.conversation_id, content.message_id, sealed, at, at, "out"))
    with running.mailbox(did) as mailbox:
        for item, blob in zip(items, worker.archive(did, items), strict=True):
            mailbox.append("Archive", mail_with_archive(blob, item.message_id))


def test_nothing_is_lost_and_nothing_comes_twice(uploaded: Uploaded) -> None:
    print(f"KILLS_SEED={SEED}")  # noqa: T201
    running, alice, chance = uploaded.running, uploaded.alice, random.Random(SEED)
    for _kill in range(KILLS_OF_UPLOADS):
        with ThreadPoolExecutor(1) as thread:
            bringing = thread.submit(bring_if_possible, uploaded)
            time.sleep(chance.uniform(0, 0.8))
            victim = chance.choice(["web", "web", "agent"])
            running.kill(victim)
            running.start(victim)
            bringing.result(timeout=60)
    state, done = progress_of(running)
    if state is None or state == "failed":
        answer = bring(alice, uploaded.file)
        assert answer.status_code == 302, words(answer.text)
    elif alice.client.get("/").headers.get("Location") == "/welcome/":
        # It was killed with the import begun and nothing published: the page that comes instead publishes.
        alice.enrol()
    killed = Counter({"during an upload": KILLS_OF_UPLOADS})
    seen: list[int] = []
    imports = 1
    while killed.total() < KILLS:
        time.sleep(chance.uniform(0, 0.25))
        state, done = progress_of(running)
        if state == "done":
            # Fast machines are through before the last kill: once more, from the beginning.
            assert archived(uploaded) == Counter(uploaded.expected)
            erase(alice)
            wait_until(lambda: bring_if_possible(uploaded))
            imports, seen = imports + 1, []
            continue
        assert state == "running"
        assert not seen or done >= seen[-1]
        seen.append(done)
        killed[kill_one(running, chance)] += 1
    print(f"{killed} in {imports} imports, parts at the last one's kills: {seen}")  # noqa: T201

    wait_until(lambda: progress_of(running)[0] == "done", 90)
    assert f"2 conversations, {MESSAGES + 4} messages are here now" in alice.words("/devices/import/")
    wait_until(lambda: running.mails(alice.did, "INBOX") == [])
    assert archived(uploaded) == Counter(uploaded.expected)
    rows = running.sql(
        "SELECT message_id, unread FROM webmail_message m JOIN accounts_account a ON a.id = m.account_id"
        " WHERE a.did = ?",
        alice.did,
    )
    assert Counter(message for message, _unread in rows) == Counter(uploaded.expected)
    assert {message for message, unread in rows if unread} == uploaded.unread
    assert alice.rows()[uploaded.with_bob].endswith("unread: 3")
    everything = [one for thread in alice.everything().values() for one in thread]
    assert Counter(one.id for one in everything) == Counter(uploaded.expected)
    assert not [one for one in everything if one.shut]
    assert {f"note {number}" for number in range(MESSAGES)} <= {one.text for one in everything}
    assert "Their server has it" in alice.thread(uploaded.with_bob)[0].state
    # Those of uploads that were cut off go after a day.
    named = {name for (name,) in running.sql("SELECT file_name FROM webmail_accountimport")}
    left = {path.name for path in (running.installation.directory / "data" / "imports").iterdir()}
    assert len(left) <= KILLS_OF_UPLOADS
    assert not left & named
    agent = f"sqlite:///{running.installation.directory / 'agent' / 'agent.sqlite3'}"
    # The archive key that came along, and the one made for what was archived since.
    assert keys_per_account(agent, alice.did) == {"archivekey": 2, "datakey": 1, "devicekey": 1}
    # And it goes on.
    uploaded.bob.reply(uploaded.with_bob, "still with us?")
    wait_until(lambda: "still with us?" in alice.texts(uploaded.with_bob))


def bring_if_possible(uploaded: Uploaded) -> bool:
    """What fails is tried again by the person, later."""
    with suppress(httpx.HTTPError, AssertionError):
        return bring(uploaded.alice, uploaded.file).status_code == 302
    return False


def archived(uploaded: Uploaded) -> Counter[str]:
    """How often each message is in the archive."""
    mails = uploaded.running.mails(uploaded.alice.did, "Archive")
    return Counter(message_id_of(mail) for mail in mails)


def progress_of(running: RunningInstallation) -> tuple[str | None, int]:
    rows = running.sql("SELECT state, done FROM webmail_accountimport ORDER BY id DESC")
    return rows[0] if rows else (None, 0)


def kill_one(running: RunningInstallation, chance: random.Random) -> str:
    """SIGKILL to a child at work, or now and then to all of a process; what it was."""
    name = chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
    process = psutil.Process(running.processes[name].pid)
    if name != "web" and chance.random() < 0.92:
        wait_until(lambda: process.children(recursive=True), every=0.02)
        for child in process.children(recursive=True):
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        return f"{name}'s children"
    running.kill(name)
    running.start(name)
    return name


def keys_per_account(database_url: str, did: str) -> dict[str, int]:
    from tests.services.installations import query

    return {
        table: query(
            database_url,
            f"SELECT count(*) FROM crypto_agent_{table} k"  # noqa: S608
            " JOIN crypto_agent_account a ON a.id = k.account_id WHERE a.did = ?",
            did,
        )[0][0]
        for table in ("archivekey", "datakey", "devicekey")
    }


def message_id_of(mail: bytes) -> str:
    found = re.search(rb"^Message-ID: <([0-9a-f]{64})@", mail, re.MULTILINE | re.IGNORECASE)
    assert found
    return found[1].decode()
