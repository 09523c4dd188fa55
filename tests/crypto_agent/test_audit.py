"""The audit log: an entry for every request, a chain that shows every change, and nothing without it."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from django.utils import timezone

from crypto_agent import audit
from crypto_agent.client import (
    AgentClient,
    AgentError,
    AgentRefused,
    AgentUnavailable,
    ArchiveItem,
    Attachment,
    Device,
    Passphrase,
)
from crypto_agent.methods import METHODS
from crypto_agent.models import AuditEntry
from tests.crypto_agent.app import PURPOSES, MakeApp, Refused, arguments
from tests.crypto_agent.calls import CALLS, NOBODY
from tests.crypto_agent.people import ALICE, BOB, CAROL, WRITTEN_AT, receive, target, write
from tests.crypto_agent.running_agent import READ_ONLY, Agent, running_agent

ENTRIES = "SELECT caller, did, purpose, count, outcome FROM crypto_agent_auditentry ORDER BY sequence"
#: From then on no entry can be added.
SQLITE_TRIGGERS = (
    "DROP TRIGGER crypto_agent_audit_no_update",
    "DROP TRIGGER crypto_agent_audit_no_delete",
)


@pytest.fixture(scope="module")
def busy_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent with twelve entries in its log; tests change copies of it."""
    with running_agent(tmp_path_factory.mktemp("busy-agent")) as agent:
        _twelve_requests(agent)
        yield agent


def _twelve_requests(agent: Agent) -> None:
    web, worker = agent.client("web"), agent.client("worker")
    web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    _, sealed = write(web, worker, ALICE, [bob])
    message = receive(worker, BOB, sealed.copies[0].envelope)
    web.read(BOB, [message.content, message.content])
    worker.archive(
        BOB,
        [ArchiveItem(message.conversation_id, message.message_id, message.sealed, WRITTEN_AT, None, "in")],
    )
    for wrong in (
        lambda: worker.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT),
        lambda: web.open(BOB, [b"envelope"]),
        lambda: web.revoke_device(ALICE, "00" * 32),
        lambda: web.read("did:plc:nobody", [message.content]),
        lambda: web.compose(ALICE, ["bob"], "Hello", created_at=WRITTEN_AT),
    ):
        with pytest.raises(AgentRefused):
            wrong()


def test_every_request_has_an_entry(busy_agent: Agent) -> None:
    assert [tuple(row) for row in busy_agent.execute(ENTRIES)] == [
        ("web", ALICE, "createDevice", 1, "ok"),
        ("web", BOB, "createDevice", 1, "ok"),
        ("web", ALICE, "compose", 1, "ok"),
        ("worker", ALICE, "seal", 1, "ok"),
        ("worker", BOB, "open", 1, "ok"),
        ("web", BOB, "read", 2, "ok"),
        ("worker", BOB, "archive", 1, "ok"),
        ("worker", "", "compose", 0, "NotPermitted"),
        ("web", "", "open", 0, "NotPermitted"),
        ("web", ALICE, "revokeDevice", 1, "NoSuchDevice"),
        ("web", "did:plc:nobody", "read", 1, "NoSuchAccount"),
        ("web", "", "compose", 0, "InvalidRequest"),
    ]
    verified = busy_agent.command("verify_audit")
    assert verified.returncode == 0
    assert "12 entries" in verified.stdout


def _verified_after(agent: Agent, directory: Path, *changes: str, entry: str = "") -> CompletedProcess[str]:
    """The answer of verify_audit for a copy of the log with changes that its triggers would refuse."""
    copy = directory / "copy.sqlite3"
    with (
        closing(sqlite3.connect(agent.database)) as original,
        closing(sqlite3.connect(copy)) as changed,
    ):
        original.backup(changed)
        for change in (*SQLITE_TRIGGERS, *changes):
            changed.execute(change)
        changed.commit()
    arguments = ["--entry", entry] if entry else []
    return agent.command("verify_audit", *arguments, WAXWING_AGENT_DATABASE_URL=f"sqlite:///{copy}")


def _set(column_and_value: str, sequence: int) -> str:
    return f"UPDATE crypto_agent_auditentry SET {column_and_value} WHERE sequence = {sequence}"  # noqa: S608


def _delete(sequence: int) -> str:
    return f"DELETE FROM crypto_agent_auditentry WHERE sequence = {sequence}"  # noqa: S608


def _copied(sequence: int) -> str:
    """A statement that adds the newest entry again with another number."""
    others = "at, caller, did, purpose, count, outcome, previous_hash, entry_hash"
    return (
        f"INSERT INTO crypto_agent_auditentry (sequence, {others})"  # noqa: S608
        f" SELECT {sequence}, {others} FROM crypto_agent_auditentry WHERE sequence = 12"
    )


@pytest.mark.parametrize(
    ("change", "sequence", "reason"),
    [
        (_set("count = 1", 6), 6, "its fields do not give its hash"),
        (_set("caller = 'worker'", 1), 1, "its fields do not give its hash"),
        (_set("at = '2026-01-01 00:00:00'", 3), 3, "its fields do not give its hash"),
        (_set("token_id = 'another'", 12), 12, "its fields do not give its hash"),
        (_set("entry_hash = 'text'", 2), 2, "its fields are not those of an entry"),
        (_set("entry_hash = CAST(x'ff' AS TEXT)", 2), 2, "can't be read"),
        (_set("entry_hash = x'00'", 2), 2, "its fields do not give its hash"),
        (_set("previous_hash = entry_hash", 4), 4, "the entry before it"),
        (_delete(5), 5, "missing"),
        (_delete(12), 12, "missing"),
        (_delete(1), 1, "missing"),
        ("UPDATE crypto_agent_audithead SET entry_hash = x'00'", 12, "head"),
        ("DELETE FROM crypto_agent_audithead", 0, "no head"),
        (_copied(13), 13, "beyond the log's head"),
        (_copied(1000), 1000, "beyond the log's head"),
        (_copied(-1), -1, "beyond the log's head"),
    ],
)
def test_every_change_breaks_the_chain_and_is_named(
    busy_agent: Agent, tmp_path: Path, change: str, sequence: int, reason: str
) -> None:
    verified = _verified_after(busy_agent, tmp_path, change)
    assert verified.returncode == 1
    assert f"breaks at entry {sequence}: " in verified.stderr
    assert reason in verified.stderr


@pytest.mark.django_db
def test_a_log_that_grows_while_it_is_walked_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    walk = audit._entries

    def grow() -> None:
        audit.append(audit.Use(timezone.now(), "web", ALICE, "read", 1, "ok", None))

    def growing(*arguments: int) -> Iterator[AuditEntry]:
        yield from walk(*arguments)
        grow()

    grow()
    monkeypatch.setattr(audit, "_entries", growing)
    assert audit.first_broken_link() is None
    stray = AuditEntry.objects.get(sequence=audit.head_sequence())
    stray.sequence += 10
    stray.save(force_insert=True)
    assert audit.first_broken_link() == audit.BrokenLink(stray.sequence, "it stands beyond the log's head")


def test_a_log_written_anew_lacks_the_entry_that_was_noted(busy_agent: Agent, tmp_path: Path) -> None:
    noted = busy_agent.command("verify_audit").stdout.rstrip().rstrip(".").rsplit(" ", 1)[1]
    assert busy_agent.command("verify_audit", "--entry", noted).returncode == 0
    assert busy_agent.command("verify_audit", "--entry", "twelve").returncode == 1
    anew = (
        _delete(12),
        "UPDATE crypto_agent_audithead SET sequence = 11, entry_hash = "
        "(SELECT entry_hash FROM crypto_agent_auditentry WHERE sequence = 11)",
    )
    assert _verified_after(busy_agent, tmp_path, *anew).returncode == 0
    checked = _verified_after(busy_agent, tmp_path, *anew, entry=noted)
    assert checked.returncode == 1
    assert "noted entry 12" in checked.stderr


def test_the_database_itself_refuses_to_change_an_entry(either_agent: Agent) -> None:
    either_agent.client().create_device(ALICE, "alice.test", "mail.test")
    for statement in (
        "UPDATE crypto_agent_auditentry SET caller = 'nobody'",
        "DELETE FROM crypto_agent_auditentry",
    ):
        with pytest.raises(Exception, match="audit entries are"):
            either_agent.execute(statement)


def test_nothing_is_released_when_the_log_cannot_be_written(own_agent: Agent) -> None:
    web, worker = own_agent.client("web"), own_agent.client("worker")
    alice = web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    composed, sealed = write(web, worker, ALICE, [bob])
    received = receive(worker, BOB, sealed.copies[0].envelope)
    item = ArchiveItem(received.conversation_id, received.message_id, received.sealed, WRITTEN_AT, None, "in")
    archived = worker.archive(BOB, [item])
    out = bytearray()
    file = web.encrypt_file(BOB, "1", "a.txt", "text/plain", 5, [b"hello"], out.extend)
    attachment = Attachment("1", file.sealed, f"https://files.test/{'0' * 64}", WRITTEN_AT)
    with_file = web.compose(BOB, [ALICE], "", created_at=WRITTEN_AT, attachments=[attachment]).content
    export = web.export_account(BOB, "correct horse battery")
    web.create_device(CAROL, "carol.test", "mail.test")
    secret = Passphrase("correct horse battery")
    web.make_locked(CAROL, secret, lifetime_s=60)
    given = bytearray()
    before = _state(own_agent)
    own_agent.execute(READ_ONLY)
    for call in (
        lambda: web.create_device("did:plc:newcomer", "new.test", "mail.test"),
        lambda: web.list_devices(ALICE),
        lambda: web.revoke_device(ALICE, alice.fingerprint),
        lambda: web.rotate_prekey(ALICE, alice.fingerprint, force=True),
        lambda: web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT),
        lambda: web.read(BOB, [received.content]),
        lambda: worker.seal(ALICE, composed.content, [target(bob)]),
        lambda: worker.open(BOB, [sealed.copies[0].envelope]),
        lambda: worker.archive(BOB, [item]),
        lambda: worker.read_archive(BOB, archived),
        lambda: worker.read("did:plc:nobody", [received.content]),
        lambda: web.encrypt_file(BOB, "1", "a.txt", "text/plain", 5, [b"hello"], given.extend),
        lambda: web.decrypt_file(BOB, with_file, 0, len(out), [bytes(out)], given.extend),
        lambda: web.export_account(BOB, "correct horse battery"),
        lambda: web.seal_unsent(BOB, export.export_key, [with_file]),
        lambda: web.erase_account(BOB),
        lambda: web.unlock(CAROL, secret, lifetime_s=60),
        lambda: web.change_passphrase(CAROL, secret, Passphrase("another horse battery")),
        lambda: web.list_uses(BOB),
    ):
        with pytest.raises(AgentUnavailable) as unavailable:
            call()
        assert unavailable.value.code == "AuditUnavailable"
    assert given == b""
    assert _state(own_agent) == before
    own_agent.execute("DROP TRIGGER read_only")
    assert web.read(BOB, [received.content])[0].text


def test_no_purpose_is_answered_while_the_log_is_read_only(own_agent: Agent) -> None:
    for did in (ALICE, BOB, CAROL, NOBODY):
        own_agent.client().create_device(did, "someone.test", "mail.test")
    before = _state(own_agent)
    own_agent.execute(READ_ONLY)
    assert CALLS.keys() == METHODS.keys()
    for caller, call in CALLS.values():
        for who in (caller, "worker" if caller == "web" else "web"):
            with pytest.raises(AgentUnavailable) as unavailable:
                call(own_agent.client(who))
            assert unavailable.value.code == "AuditUnavailable"
    assert _state(own_agent) == before
    own_agent.execute("DROP TRIGGER read_only")
    assert own_agent.command("verify_audit").returncode == 0


def test_nor_is_any_app(agent: Agent, app: MakeApp, alice: Device, bob: Device) -> None:
    caller, _ = app(*PURPOSES)
    asked = arguments(alice, bob)
    agent.execute(READ_ONLY)
    try:
        for purpose in PURPOSES:
            with pytest.raises(Refused) as refused:
                caller.call(purpose, **asked[purpose])
            assert (refused.value.code, refused.value.status) == ("AuditUnavailable", 503)
    finally:
        agent.execute("DROP TRIGGER read_only")
    for purpose in PURPOSES:
        caller.call(purpose, **asked[purpose])


def test_nor_does_the_operator_change_a_key_unseen(own_agent: Agent) -> None:
    own_agent.client("web").create_device(ALICE, "alice.test", "mail.test")
    own_agent.execute(READ_ONLY)
    made = own_agent.operator_key.read_bytes()
    for given in (["--next"], [str(own_agent.directory / "another.key")]):
        refused = own_agent.command("make_operator_key", *given)
        assert (refused.returncode, "the audit log can't be written" in refused.stderr) == (1, True)
    assert own_agent.operator_key.read_bytes() == made
    assert [path.name for path in own_agent.directory.glob("*.key*")] == ["operator.key"]
    own_agent.execute("DROP TRIGGER read_only")
    own_agent.command("make_operator_key", "--next").check_returncode()
    before = _state(own_agent)
    own_agent.execute(READ_ONLY)
    refused = own_agent.command("rewrap")
    assert (refused.returncode, "the audit log can't be written" in refused.stderr) == (1, True)
    assert _state(own_agent) == before
    own_agent.execute("DROP TRIGGER read_only")
    own_agent.command("rewrap").check_returncode()
    own_agent.execute(READ_ONLY)
    refused = own_agent.command("retire", "1")
    assert (refused.returncode, "the audit log can't be written" in refused.stderr) == (1, True)
    own_agent.execute("DROP TRIGGER read_only")
    assert "retired" not in own_agent.command("key_status").stdout


def _state(agent: Agent) -> list[list[Any]]:
    return [
        agent.execute(f"SELECT * FROM crypto_agent_{table} ORDER BY id")  # noqa: S608
        for table in (
            *("account", "datakey", "devicekey", "prekeysecret", "archivekey", "attestationkey", "audithead"),
            *("grant", "locksecret", "passkey"),
        )
    ]


def test_the_chain_does_not_fork_under_many_callers(either_agent: Agent) -> None:
    before = either_agent.execute("SELECT count(*) FROM crypto_agent_auditentry")[0][0]
    people = [f"did:plc:person{number}" for number in range(8)]

    def live(did: str) -> None:
        web, worker = either_agent.client("web"), either_agent.client("worker")
        device = web.create_device(did, "someone.test", "mail.test")
        for _ in range(10):
            composed = web.compose(did, [ALICE], "Hello", created_at=WRITTEN_AT)
            worker.seal(did, composed.content, [target(device)])
            web.read(did, [composed.content])
        web.rotate_prekey(did, device.fingerprint, force=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(live, people))
    after = either_agent.execute("SELECT count(*) FROM crypto_agent_auditentry")[0][0]
    assert after - before == 8 * 32
    verified = either_agent.command("verify_audit")
    assert verified.returncode == 0, verified.stderr
    assert f"{after} entries" in verified.stdout


def test_one_person_asked_for_at_once_gets_one_device(either_agent: Agent) -> None:
    def create(client: AgentClient) -> str:
        return client.create_device("did:plc:hurried", "hurried.test", "mail.test").fingerprint

    clients = [either_agent.client() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(create, clients))) == 1
    assert len(either_agent.client().list_devices("did:plc:hurried")) == 1


def test_an_agent_killed_at_work_leaves_a_whole_log(own_agent: Agent) -> None:
    def ask(_: int) -> None:
        client = own_agent.client()
        for _ in range(30):
            try:
                client.create_device(ALICE, "alice.test", "mail.test")
            except AgentError:
                return

    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            for number in range(4):
                pool.submit(ask, number)
            time.sleep(0.25)
            own_agent.kill()
        own_agent.start()
        assert own_agent.command("verify_audit").returncode == 0
    assert len(own_agent.client().list_devices(ALICE)) <= 1
