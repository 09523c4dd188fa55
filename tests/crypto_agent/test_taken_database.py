"""The database, the operator's key and the code together do not open a locked account, but a managed one."""
# ruff: noqa: S608 (nobody but a test gives the queries their names)

from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile

import pytest

from crypto_agent.client import AgentClient, ArchiveItem, SealedContent
from crypto_agent.purposes import Purpose
from tests.crypto_agent.attacker import Attacker
from tests.crypto_agent.authenticator import Authenticator
from tests.crypto_agent.people import BOB, WRITTEN_AT
from tests.crypto_agent.persons import PASSPHRASE, new_person
from tests.crypto_agent.running_agent import Agent, running_agent

#: What opens a private key, and so mail that is sealed to it, now or in the archive.
KEYS_OF_PEOPLE = {
    Purpose.DEVICE_KEY,
    Purpose.PREKEY_SECRET,
    Purpose.PREKEY_SIGNING_KEY,
    Purpose.ARCHIVE_KEY,
    Purpose.ATTESTATION_KEY,
}


def _person(agent: Agent) -> tuple[str, Authenticator, SealedContent]:
    """A person with every kind of key, a passkey, and a message at rest."""
    web = agent.client()
    did = new_person(agent)
    expires_at = datetime.now(UTC) + timedelta(days=1)
    web.create_grant(did, "An app", ["attest"], expires_at=expires_at, hourly_limit=10)
    authenticator = Authenticator()
    web.add_passkey(did, "A phone", authenticator.create(web.begin_passkey(did, "alice.test")))
    message = web.compose(did, [BOB], "Good morning", created_at=WRITTEN_AT).content
    return did, authenticator, message


def _attacked(agent: Agent, did: str, messages: list[SealedContent], *known: bytes) -> Attacker:
    attacker = Attacker(agent, did, messages, frozenset(known))
    attacker.run()
    return attacker


def test_a_managed_account_opens_by_database_operator_key_and_code(either_agent: Agent) -> None:
    did, _, message = _person(either_agent)
    attacker = _attacked(either_agent, did, [message])
    assert attacker.opened.keys() == KEYS_OF_PEOPLE
    assert any(b"Good morning" in content for content in attacker.read)


@pytest.mark.parametrize("kind", ["passphrase", "passkey", "both", "rotated"])
def test_a_locked_account_does_not(agent: Agent, kind: str) -> None:
    _check_that_nothing_opens(agent, kind)


def test_a_locked_account_on_postgres_does_not(agent_on_postgres: Agent) -> None:
    _check_that_nothing_opens(agent_on_postgres, "unlocked nowhere")


def _check_that_nothing_opens(agent: Agent, kind: str) -> None:
    web = agent.client()
    did, authenticator, before = _person(agent)
    use = authenticator.use(web.passkey_challenge(did, "change-custody"))
    locked = web.make_locked(did, use if kind == "passkey" else PASSPHRASE, lifetime_s=3600)
    mine = web.unlocked(locked.session.token)
    within = mine.compose(did, [BOB], "And again", created_at=WRITTEN_AT).content
    if kind == "both":
        use = authenticator.use(web.passkey_challenge(did, "change-custody"))
        web.add_lock_secret(did, PASSPHRASE, use)
    if kind == "rotated":
        mine.rotate_data_key(did)
    if kind == "unlocked nowhere":
        web.lock_now(did, everywhere=True)
    attacker = _attacked(agent, did, [before, within])
    assert (attacker.opened, attacker.read) == ({}, set())


def test_an_account_that_was_locked_and_is_managed_again_opens(agent: Agent) -> None:
    web = agent.client()
    did, _, message = _person(agent)
    web.make_locked(did, PASSPHRASE, lifetime_s=60)
    web.make_managed(did, PASSPHRASE)
    attacker = _attacked(agent, did, [message])
    assert attacker.opened.keys() == KEYS_OF_PEOPLE
    assert attacker.read


def test_an_attacker_who_knows_the_secret_opens_the_lock(agent: Agent) -> None:
    """So what kept them out above was the secret, and not a fault of theirs."""
    web = agent.client()
    did, authenticator, message = _person(agent)
    use = authenticator.use(web.passkey_challenge(did, "change-custody"))
    web.make_locked(did, use, lifetime_s=60)
    assert use.prf is not None
    attacker = _attacked(agent, did, [message], use.prf)
    assert {*KEYS_OF_PEOPLE, Purpose.LOCK_KEY, Purpose.LOCKED_DATA_KEY} == attacker.opened.keys()
    assert attacker.read


def test_operator_keys_are_replaced_while_an_account_is_locked(own_agent: Agent) -> None:
    agent, web = own_agent, own_agent.client()
    did, _, message = _person(agent)
    web.make_locked(did, PASSPHRASE, lifetime_s=60)
    web.lock_now(did, everywhere=True)
    agent.command("make_operator_key", "--next").check_returncode()
    agent.command("rewrap").check_returncode()
    agent.command("retire", "1").check_returncode()
    lines = agent.operator_key.read_text().splitlines()
    agent.operator_key.write_text(lines[1] + "\n")
    attacker = _attacked(agent, did, [message])
    assert (attacker.opened, attacker.read) == ({}, set())
    rotated = agent.command("rotate_data_keys", did)
    assert rotated.stdout == f"{did}: late, since its user locked it.\n0 data keys rotated, 1 late.\n"
    agent.kill()
    agent.start()
    session = web.unlock(did, PASSPHRASE, lifetime_s=60)
    assert web.unlocked(session.token).read(did, [message])[0].text == "Good morning"
    assert web.unlocked(session.token).rotate_data_key(did) == 3
    web.make_managed(did, PASSPHRASE)
    assert agent.command("rotate_data_keys", did).stdout == "1 data keys rotated, 0 late.\n"
    assert agent.command("rotate_data_keys").stdout == "0 data keys rotated, 0 late.\n"
    assert agent.command("rotate_data_keys", "--days", "0").stdout == "1 data keys rotated, 0 late.\n"
    assert web.read(did, [message])[0].text == "Good morning"
    assert agent.command("verify_audit").returncode == 0


def test_what_opened_before_the_lock_is_gone_from_the_files(own_agent: Agent) -> None:
    web = own_agent.client()
    did, _, _ = _person(own_agent)
    before = [
        bytes(row[0])
        for table in ("datakey", "devicekey", "archivekey", "attestationkey")
        for row in own_agent.execute(f"SELECT wrapped FROM crypto_agent_{table}")
    ]
    assert all(value in _files(own_agent) for value in before)
    web.make_locked(did, PASSPHRASE, lifetime_s=60)
    files = _files(own_agent)
    assert not any(value in files for value in before)


@pytest.mark.parametrize("change", ["locked", "revoked", "a new data key"])
def test_what_is_archived_from_then_on_does_not_open_with_a_backup_from_before(
    agent: Agent, tmp_path: Path, change: str
) -> None:
    web, worker = agent.client(), agent.client("worker")
    did, _, message = _person(agent)
    old = _archived(agent, did, worker.seal(did, message, []).sealed, message)
    _back_up(agent, tmp_path)
    if change == "locked":
        web = web.unlocked(web.make_locked(did, PASSPHRASE, lifetime_s=3600).session.token)
    elif change == "revoked":
        web.revoke_device(did, web.list_devices(did)[0].fingerprint)
        web.create_device(did, "alice.test", "mail.test")
    else:
        web.rotate_data_key(did)
    later = web.compose(did, [BOB], "Good evening", created_at=WRITTEN_AT).content
    new = [_archived(agent, did, worker.seal(did, later, []).sealed, later) for _ in range(2)]
    assert _texts(agent, did, [old, *new], web) == ["Good morning", "Good evening", "Good evening"]
    # The first one after the change makes the key, and all others use it.
    assert _generations(agent, did) == [1, 2]
    with running_agent(tmp_path, unsealed=False) as taken:
        assert _texts(taken, did, [old, *new]) == ["Good morning", "cannot-open", "cannot-open"]


def test_a_device_revoked_while_the_account_is_shut_has_another_archive_key_made_once_it_is_open(
    agent: Agent, tmp_path: Path
) -> None:
    web, worker = agent.client(), agent.client("worker")
    did, _, message = _person(agent)
    web.make_locked(did, PASSPHRASE, lifetime_s=3600)
    old = _archived(agent, did, worker.seal(did, message, []).sealed, message)
    web.lock_now(did, everywhere=True)
    web.revoke_device(did, web.list_devices(did)[0].fingerprint)
    assert _generations(agent, did) == [1, 2]
    web = web.unlocked(web.unlock(did, PASSPHRASE, lifetime_s=3600).token)
    (read,) = worker.read_archive(did, [old])
    assert read.message is not None
    _archived(agent, did, read.message.sealed, message)
    assert _generations(agent, did) == [1, 2, 3]


def _back_up(agent: Agent, directory: Path) -> None:
    """The database and the operator's key as they are now, for another agent to run with."""
    agent.execute(f"VACUUM INTO '{directory / 'agent.sqlite3'}'")
    copyfile(agent.operator_key, directory / "operator.key")


def _archived(agent: Agent, did: str, sealed: bytes, message: SealedContent) -> bytes:
    ids = message.conversation_id, message.message_id
    return agent.client("worker").archive(did, [ArchiveItem(*ids, sealed, WRITTEN_AT, None, "out")])[0]


def _texts(agent: Agent, did: str, archived: list[bytes], web: AgentClient | None = None) -> list[str]:
    """The text of each archived message, or why there is none."""
    read = agent.client("worker").read_archive(did, archived)
    return [
        (web or agent.client()).read(did, [one.message.content])[0].text if one.message else str(one.error)
        for one in read
    ]


def _generations(agent: Agent, did: str) -> list[int]:
    rows = agent.execute(
        "SELECT generation FROM crypto_agent_archivekey k JOIN crypto_agent_account a ON a.id = account_id"
        f" WHERE did = '{did}' ORDER BY generation"
    )
    return [generation for (generation,) in rows]


def _files(agent: Agent) -> bytes:
    return b"".join(path.read_bytes() for path in agent.directory.glob("agent.sqlite3*"))
