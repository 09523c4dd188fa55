"""An account leaves one agent and comes to another; what is erased never opens again."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from crypto_agent import audit, lock_secrets, passphrase_turns, views
from crypto_agent.atsms import cbor
from crypto_agent.calls import Call
from crypto_agent.client import (
    AgentClient,
    AgentLocked,
    AgentRefused,
    ArchiveItem,
    Device,
    OpenedMessage,
    Passphrase,
    SealedContent,
)
from crypto_agent.methods import METHODS
from crypto_agent.operator_keys.key_file import read_key_file
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT, receive, target, write
from tests.crypto_agent.running_agent import Agent, CheckedClient, running_agent
from tests.crypto_agent.test_passkeys import requiring_person

PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Another installation's agent, with a database and an operator's key of its own."""
    with running_agent(tmp_path_factory.mktemp("elsewhere")) as agent:
        yield agent


@pytest.fixture
def there(elsewhere: Agent) -> Iterator[CheckedClient]:
    with closing(elsewhere.client("web")) as client:
        yield client


@pytest.fixture
def there_working(elsewhere: Agent) -> Iterator[CheckedClient]:
    with closing(elsewhere.client("worker")) as client:
        yield client


_NAMES = iter("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def did() -> str:
    """Somebody new for each test."""
    return f"did:plc:{next(_NAMES) * 24}"


@pytest.fixture
def device(web: AgentClient, did: str) -> Device:
    return web.create_device(did, "leaver.test", "mail.test")


@pytest.fixture
def old(web: AgentClient, worker: AgentClient, devices: dict[str, Device], device: Device) -> bytes:
    """A message of Alice's that was opened, as it lies in the archive."""
    _, sealed = write(web, worker, ALICE, [device], "an old message")
    return archived(worker, device.did, receive(worker, device.did, sealed.copies[0].envelope))


def archived(worker: AgentClient, did: str, message: OpenedMessage) -> bytes:
    item = ArchiveItem(
        message.conversation_id, message.message_id, message.sealed, WRITTEN_AT, WRITTEN_AT, "in"
    )
    return worker.archive(did, [item])[0]


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(AgentRefused) as raised:
        yield
    assert raised.value.code == code


def test_everything_is_readable_where_the_account_came_to(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    devices: dict[str, Device],
    device: Device,
    old: bytes,
) -> None:
    did = device.did
    _, waiting = write(web, worker, ALICE, [device], "not opened yet")
    renewed = web.rotate_prekey(did, device.fingerprint, force=True)

    export = web.export_account(did, PASSPHRASE)
    taken = there.import_account(did, PASSPHRASE, export.keys)

    assert taken.devices == [renewed]
    (read,) = there_working.read_archive(did, [old])
    assert read.message is not None
    assert there.read(did, [read.message.content])[0].text == "an old message"
    message = receive(there_working, did, waiting.copies[0].envelope)
    assert there.read(did, [message.content])[0].text == "not opened yet"
    # It signs as the same device, and others seal to the prekey that they know.
    _, sealed = write(there, there_working, did, [devices[ALICE]], "from the new place")
    assert receive(worker, ALICE, sealed.copies[0].envelope).sender_fingerprint == device.fingerprint
    _, new = write(web, worker, ALICE, [renewed], "to the new place")
    assert receive(there_working, did, new.copies[0].envelope).sender_did == ALICE
    assert there.create_device(did, "leaver.test", "mail.test").fingerprint == device.fingerprint


def test_taking_in_the_same_again_changes_nothing(
    web: AgentClient, there: AgentClient, elsewhere: Agent, device: Device
) -> None:
    def keys() -> list[object]:
        return [
            elsewhere.execute(f"SELECT * FROM crypto_agent_{table} ORDER BY id")  # noqa: S608
            for table in ("account", "datakey", "devicekey", "prekeysecret", "archivekey", "attestationkey")
        ]

    expires_at = datetime.now(UTC) + timedelta(days=1)
    web.create_grant(device.did, "An app", ["attest"], expires_at=expires_at, hourly_limit=1)
    export = web.export_account(device.did, PASSPHRASE)
    there.import_account(device.did, PASSPHRASE, export.keys)
    before = keys()
    there.import_account(device.did, PASSPHRASE, export.keys)
    there.import_account(device.did, PASSPHRASE, web.export_account(device.did, PASSPHRASE).keys)
    assert keys() == before
    assert [len(rows) for rows in before[-1:]] == [2], "one of each curve"


def test_what_was_never_signed_is_signed_and_sent_from_there(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    devices: dict[str, Device],
    device: Device,
) -> None:
    did = device.did
    composed = web.compose(did, [ALICE], "not sent yet", created_at=WRITTEN_AT)
    export = web.export_account(did, PASSPHRASE)
    parts = web.seal_unsent(did, export.export_key, [composed.content])
    taken = there.import_account(did, PASSPHRASE, export.keys)
    (content,) = there_working.open_unsent(did, taken.import_key, parts)
    assert (content.conversation_id, content.message_id) == (
        composed.conversation_id,
        composed.message_id,
    )
    sealed = there_working.seal(did, content, [target(devices[ALICE])])
    received = receive(worker, ALICE, sealed.copies[0].envelope)
    assert received.message_id == composed.message_id
    assert web.read(ALICE, [received.content])[0].text == "not sent yet"
    # Only messages that the account composed, and only as parts of its export.
    _, from_alice = write(web, worker, ALICE, [device], "of another")
    incoming = receive(worker, did, from_alice.copies[0].envelope)
    with refused("CannotUnseal"):
        web.seal_unsent(did, export.export_key, [incoming.content])
    for bad in (parts[0][:-1] + bytes([parts[0][-1] ^ 1]), b"nothing", b"\x80"):
        with refused("BadExport"):
            there_working.open_unsent(did, taken.import_key, [bad])


def test_what_the_database_knows_opens_under_its_name_alone(
    web: AgentClient, there: AgentClient, device: Device
) -> None:
    did = device.did
    export = web.export_account(did, PASSPHRASE)
    part = web.seal_export_part(did, export.export_key, "state/000001", b"read marks")
    assert b"read marks" not in part
    key = there.import_account(did, PASSPHRASE, export.keys).import_key
    assert there.open_export_part(did, key, "state/000001", part) == b"read marks"
    with refused("BadExport"):
        there.open_export_part(did, key, "state/000002", part)
    # The key that seals opens nothing, nor the other way round, nor does either serve another account.
    with refused("CannotUnseal"):
        web.open_export_part(did, export.export_key, "state/000001", part)
    with refused("CannotUnseal"):
        there.seal_export_part(did, key, "state/000001", b"forged")
    web.create_device(BOB, "bob.test", "mail.test")
    with refused("CannotUnseal"):
        web.seal_export_part(BOB, export.export_key, "state/000001", b"of another")
    with refused("BadExport"):
        there.open_export_part(did, key, "x", _unsent(web, did, export.export_key))


def _unsent(web: AgentClient, did: str, export_key: bytes) -> bytes:
    composed = web.compose(did, [ALICE], "a draft", created_at=WRITTEN_AT)
    return web.seal_unsent(did, export_key, [composed.content])[0]


def test_keys_that_are_here_already_are_kept_and_the_old_device_only_opens(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    elsewhere: Agent,
    devices: dict[str, Device],
    device: Device,
    old: bytes,
) -> None:
    did = device.did
    _, waiting = write(web, worker, ALICE, [device], "under way")
    mine = there.create_device(did, "leaver.test", "mail.test")
    _, new = write(web, worker, ALICE, [mine], "to the new device")
    here_first = archived(there_working, did, receive(there_working, did, new.copies[0].envelope))

    taken = there.import_account(did, PASSPHRASE, web.export_account(did, PASSPHRASE).keys)

    by_name = {each.fingerprint: each for each in taken.devices}
    assert by_name[mine.fingerprint] == mine
    assert by_name[device.fingerprint].revoked_at is not None
    for stored, text in ((old, "an old message"), (here_first, "to the new device")):
        (read,) = there_working.read_archive(did, [stored])
        assert read.message is not None
        assert there.read(did, [read.message.content])[0].text == text
    assert receive(there_working, did, waiting.copies[0].envelope).sender_did == ALICE
    _, sealed = write(there, there_working, did, [devices[ALICE]], "who signs?")
    assert receive(worker, ALICE, sealed.copies[0].envelope).sender_fingerprint == mine.fingerprint
    # Its key dies with its prekeys.
    states = f"SELECT state, wrapped FROM crypto_agent_devicekey WHERE fingerprint = '{device.fingerprint}'"  # noqa: S608
    assert elsewhere.execute(states)[0][0] == "retired"
    elsewhere.execute(
        "UPDATE crypto_agent_prekeysecret SET destroy_after = '2026-01-01' WHERE device_id ="  # noqa: S608
        f" (SELECT id FROM crypto_agent_devicekey WHERE fingerprint = '{device.fingerprint}')"
    )
    there.rotate_prekey(did, mine.fingerprint)
    assert [tuple(row) for row in elsewhere.execute(states)] == [("revoked", None)]


def test_a_device_that_is_published_as_revoked_does_not_become_active(
    web: AgentClient, worker: AgentClient, there: AgentClient, there_working: AgentClient, device: Device
) -> None:
    did = device.did
    web.create_device(ALICE, "alice.test", "mail.test")
    _, waiting = write(web, worker, ALICE, [device], "under way")
    export = web.export_account(did, PASSPHRASE)
    taken = there.import_account(did, PASSPHRASE, export.keys, revoked=[device.fingerprint])
    assert taken.devices[0].revoked_at is not None
    assert receive(there_working, did, waiting.copies[0].envelope).sender_did == ALICE
    assert there.create_device(did, "leaver.test", "mail.test").fingerprint != device.fingerprint
    there.revoke_device(did, device.fingerprint)
    (opened,) = there_working.open(did, [waiting.copies[0].envelope])
    assert opened.error == "cannot-open"


def test_a_wrong_passphrase_or_a_changed_file_is_refused_and_leaves_nothing(
    web: AgentClient, there: AgentClient, elsewhere: Agent, device: Device
) -> None:
    did = device.did
    keys = web.export_account(did, PASSPHRASE).keys
    with refused("WrongExportPassphrase"):
        there.import_account(did, PASSPHRASE + "x", keys)
    with refused("ExportOfAnother"):
        there.import_account(BOB, PASSPHRASE, keys)
    head, nonce, ciphertext = cbor.decode(keys)  # type: ignore[misc]
    assert isinstance(head, list)
    changed = {
        "older": ([*head[:1], 0, *head[2:]], nonce, ciphertext),
        "newer": ([*head[:1], 2, *head[2:]], nonce, ciphertext),
        "kind": (["another", *head[1:]], nonce, ciphertext),
        "time": ([*head[:3], 1, *head[4:]], nonce, ciphertext),
        "memory": ([*head[:4], 1 << 30, *head[5:]], nonce, ciphertext),
        "work": ([*head[:5], 1 << 30, *head[6:]], nonce, ciphertext),
        "lanes": ([*head[:6], 0, *head[7:]], nonce, ciphertext),
        "nonce": (head, bytes(12), ciphertext),
        "short": (head, b"", ciphertext),
        "ciphertext": (head, nonce, ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])),
    }
    for name, parts in changed.items():
        with refused("UnsupportedExport" if name in ("older", "newer") else "BadExport"):
            there.import_account(did, PASSPHRASE, cbor.encode(list(parts)))
    for nothing in (b"x", keys[:-1], keys + b"\x00"):
        with refused("BadExport"):
            there.import_account(did, PASSPHRASE, nothing)
    found = elsewhere.execute(f"SELECT COUNT(*) FROM crypto_agent_account WHERE did = '{did}'")  # noqa: S608
    assert found[0][0] == 0


@pytest.mark.parametrize("weak", ["short", "eleven char", "x" * 1025, "é" * 600])
def test_a_passphrase_is_neither_short_nor_endless(web: AgentClient, device: Device, weak: str) -> None:
    with refused("WeakPassphrase"):
        web.export_account(device.did, weak)


def test_a_passphrase_typed_on_another_keyboard_is_the_same(
    web: AgentClient, there: AgentClient, device: Device
) -> None:
    keys = web.export_account(device.did, "caf\u00e9 au lait, s'il").keys
    there.import_account(device.did, "cafe\u0301 au lait, s'il", keys)


def test_what_is_erased_never_opens_again_not_with_a_dump_and_the_operators_key(tmp_path: Path) -> None:
    with running_agent(tmp_path) as agent:
        web, worker = agent.client("web"), agent.client("worker")
        bob = web.create_device(BOB, "bob.test", "mail.test")
        web.create_device(ALICE, "alice.test", "mail.test")
        expires_at = datetime.now(UTC) + timedelta(days=1)
        web.create_grant(BOB, "An app", ["attest"], expires_at=expires_at, hourly_limit=1)
        _, sealed = write(web, worker, ALICE, [bob], "gone for good")
        _, waiting = write(web, worker, ALICE, [bob], "gone as well")
        message = receive(worker, BOB, sealed.copies[0].envelope)
        in_archive = archived(worker, BOB, message)
        secret = _everything_of(agent, BOB)
        assert len(secret) == 8

        assert web.erase_account(BOB)
        assert not web.erase_account(BOB)

        for call in (
            lambda: web.read(BOB, [message.content]),
            lambda: worker.read_archive(BOB, [in_archive]),
            lambda: worker.open(BOB, [waiting.copies[0].envelope]),
            lambda: web.export_account(BOB, PASSPHRASE),
        ):
            with refused("NoSuchAccount"):
                call()
        # A new account of the same person has other keys.
        web.create_device(BOB, "bob.test", "mail.test")
        assert web.read(BOB, [message.content])[0].error == "cannot-unseal"
        assert worker.read_archive(BOB, [in_archive])[0].error == "cannot-open"
        web.erase_account(BOB)
        assert _everything_of(agent, BOB) == []
        assert len(_everything_of(agent, ALICE)) == 5
        said = agent.execute(
            "SELECT purpose, outcome FROM crypto_agent_auditentry"  # noqa: S608
            f" WHERE did = '{BOB}' AND purpose = 'eraseAccount'"
        )
        assert [tuple(row) for row in said] == 3 * [("eraseAccount", "data key destroyed")]
        agent.command("verify_audit").check_returncode()
        # While it still runs: neither the database nor its log has what was wrapped.
        files = b"".join(path.read_bytes() for path in tmp_path.glob("agent.sqlite3*"))
        assert [value for value in secret if value in files] == []
        with closing(sqlite3.connect(agent.database)) as database:
            dump = "\n".join(database.iterdump())
        assert read_key_file(agent.operator_key).versions == {1}
        assert [value for value in secret if value.hex().upper() in dump.upper()] == []


def _everything_of(agent: Agent, did: str) -> list[bytes]:
    """Every wrapped key of an account, whatever protects it."""
    account = f"(SELECT id FROM crypto_agent_account WHERE did = '{did}')"  # noqa: S608
    devices = f"(SELECT id FROM crypto_agent_devicekey WHERE account_id = {account})"  # noqa: S608
    found: list[bytes] = []
    for table in ("datakey", "devicekey", "archivekey", "attestationkey"):
        rows = agent.execute(f"SELECT wrapped FROM crypto_agent_{table} WHERE account_id = {account}")  # noqa: S608
        found += [bytes(row[0]) for row in rows]
    for column in ("wrapped_secret", "wrapped_signing_key"):
        rows = agent.execute(
            f"SELECT {column} FROM crypto_agent_prekeysecret WHERE device_id IN {devices}"  # noqa: S608
        )
        found += [bytes(row[0]) for row in rows]
    grants = agent.execute(f"SELECT token_hash FROM crypto_agent_grant WHERE account_id = {account}")  # noqa: S608
    return found + [str(row[0]).encode() for row in grants]


def test_no_key_and_no_passphrase_is_in_an_answer_a_log_or_a_file(
    tmp_path: Path, web: AgentClient, worker: AgentClient
) -> None:
    canary = "the canary's own passphrase"
    with running_agent(tmp_path) as agent:
        client = agent.client("web")
        client.create_device(ALICE, "alice.test", "mail.test")
        composed = client.compose(ALICE, [BOB], "the canary sings", created_at=WRITTEN_AT)
        export = client.export_account(ALICE, canary)
        (part,) = client.seal_unsent(ALICE, export.export_key, [composed.content])
        with refused("WrongExportPassphrase"):
            client.import_account(ALICE, canary + "!", export.keys)
        client.import_account(ALICE, canary, export.keys)
        agent.running.stop()
        for path in tmp_path.iterdir():
            assert canary.encode() not in path.read_bytes()
        assert b"the canary sings" not in part + export.keys + export.export_key
        keys = _private_keys(export.keys, canary)
        assert len(keys) == 4
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert [key for key in keys if key in files + export.keys + export.export_key] == []


def _private_keys(keys_file: bytes, passphrase: str) -> list[bytes]:
    from crypto_agent.account_file import open_keys

    secrets = open_keys(ALICE, keys_file, passphrase)
    (prekey,) = secrets.devices[0].prekeys
    return [secrets.export_key, secrets.archive_keys[0].secret, prekey.secret, prekey.signing_key]


def test_a_crafted_file_plants_nothing_that_is_not_the_accounts(device: Device, there: AgentClient) -> None:
    """Whoever gives somebody a file with its passphrase decides what is in it."""
    from crypto_agent.account_file import AccountSecrets, DeviceSecrets, PrekeySecrets, seal_keys
    from crypto_agent.atsms.certificates import parse_certificate

    certificate = parse_certificate(device.certificate_pem).der
    now = datetime.now(UTC)

    def crafted(did: str, *devices: DeviceSecrets) -> bytes:
        return seal_keys(did, AccountSecrets(bytes(32), devices, [], []), PASSPHRASE, now, os.urandom)

    of_another = DeviceSecrets(certificate, None, now, now, None, [])
    without_key = DeviceSecrets(certificate, None, now, None, b"no key", [])
    broken = DeviceSecrets(b"no certificate", None, now, now, None, [])
    prekey = PrekeySecrets(1, bytes(32), bytes(32), b"signature", now, now, now)
    revoked = DeviceSecrets(certificate, None, now, now, None, [prekey])
    bad_ones = [(BOB, of_another), *((device.did, each) for each in (without_key, broken, revoked))]
    for did, bad in bad_ones:
        with refused("BadExport"):
            there.import_account(did, PASSPHRASE, crafted(did, bad))
    content = SealedContent("01" * 33, "01" * 32, b"sealed")
    with refused("NoSuchAccount"):
        there.seal_unsent("did:plc:" + "z" * 24, b"key", [content])


@pytest.mark.django_db
def test_nobody_waits_for_their_turn_to_derive_while_they_hold_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has the turn may have to write before they give it back."""
    from crypto_agent.account_file import AccountSecrets, seal_keys

    did = f"did:plc:{next(_NAMES) * 24}"
    keys = seal_keys(did, AccountSecrets(bytes(32), [], [], []), PASSPHRASE, datetime.now(UTC), os.urandom)
    turn, outside = passphrase_turns.turn, len(connection.atomic_blocks)
    transactions: list[int] = []

    @contextmanager
    def watched(did: str) -> Iterator[None]:
        transactions.append(len(connection.atomic_blocks) - outside)
        with turn(did):
            yield

    for module in (passphrase_turns, lock_secrets):
        monkeypatch.setattr(module, "turn", watched)
    secret = {"passphrase": PASSPHRASE}
    for name, fields in {
        "importAccount": {"keys": keys, "passphrase": PASSPHRASE, "revoked": []},
        "exportAccount": {"passphrase": PASSPHRASE},
        "makeLocked": {"secret": secret, "lifetimeSeconds": 60},
        "unlock": {"secret": secret, "lifetimeSeconds": 60},
        "changePassphrase": {"proof": secret, "passphrase": "another passphrase"},
    }.items():
        call = Call({"did": did, **fields}, datetime.now(UTC), os.urandom)
        views._on_record(METHODS[name], call, audit.Use(call.now, "web", did, name, 1, "ok", None))
    assert transactions == [0] * 6


def test_an_account_that_requires_its_passkey_neither_leaves_nor_comes_nor_goes_without(
    agent: Agent,
) -> None:
    web = agent.client()
    did, authenticator, _ = requiring_person(agent)
    from crypto_agent.account_file import AccountSecrets, seal_keys

    # As somebody could make it who can sign in as the person, with keys that they know.
    of_somebody = seal_keys(
        did, AccountSecrets(bytes(32), [], [], []), PASSPHRASE, datetime.now(UTC), os.urandom
    )
    steps: dict[str, Callable[..., Any]] = {
        "export": lambda **more: web.export_account(did, PASSPHRASE, **more),
        "import": lambda **more: web.import_account(did, PASSPHRASE, of_somebody, **more),
        "erase": lambda **more: web.erase_account(did, **more),
    }
    for purpose, step in steps.items():
        with refused("StepUpRequired"):
            step()
        with refused("WrongPasskey"):
            step(assertion=authenticator.get(web.passkey_challenge(did, "sign-in")))
        assert web.list_devices(did)
        step(assertion=authenticator.get(web.passkey_challenge(did, purpose)))
    assert web.list_devices(did) == []


def test_a_locked_account_is_exported_by_who_unlocked_it_and_is_managed_where_it_comes_to(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    device: Device,
    old: bytes,
) -> None:
    did = device.did
    web.create_device(ALICE, "alice.test", "mail.test")
    session = web.make_locked(did, Passphrase(PASSPHRASE), lifetime_s=600).session
    with pytest.raises(AgentLocked):
        web.export_account(did, PASSPHRASE)
    export = web.unlocked(session.token).export_account(did, PASSPHRASE)
    web.unlocked(session.token).lock_now(did, everywhere=True)
    there.import_account(did, PASSPHRASE, export.keys)
    assert there.custody(did).mode == "managed"
    (read,) = there_working.read_archive(did, [old])
    assert read.message is not None
    # What is locked here stays so, also to its own export, and is erased without being unlocked.
    with pytest.raises(AgentLocked):
        web.import_account(did, PASSPHRASE, export.keys)
    assert web.erase_account(did)
