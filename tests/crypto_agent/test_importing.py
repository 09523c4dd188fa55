"""An account that left one agent comes to another."""

import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crypto_agent import audit, lock_secrets, passphrase_turns, views
from crypto_agent.account_file import (
    MOST_KEYS_BYTES,
    AccountSecrets,
    ArchiveSecret,
    DeviceSecrets,
    PrekeySecrets,
    seal_keys,
)
from crypto_agent.atsms import cbor
from crypto_agent.atsms.certificates import issue_certificate, parse_certificate
from crypto_agent.calls import Call
from crypto_agent.client import (
    AgentClient,
    Device,
    Passphrase,
    SealedContent,
)
from crypto_agent.errors import BadExport
from crypto_agent.importing import import_account, open_export
from crypto_agent.methods import METHODS
from tests.crypto_agent.leaving import PASSPHRASE, archived, new_did, refused
from tests.crypto_agent.people import ALICE, BOB, receive, write
from tests.crypto_agent.running_agent import Agent


def test_everything_is_readable_where_the_account_came_to(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    devices: dict[str, Device],
    leaver: Device,
    old: bytes,
) -> None:
    did = leaver.did
    _, waiting = write(web, worker, ALICE, [leaver], "not opened yet")
    renewed = web.rotate_prekey(did, leaver.fingerprint, force=True)

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
    assert receive(worker, ALICE, sealed.copies[0].envelope).sender_fingerprint == leaver.fingerprint
    _, new = write(web, worker, ALICE, [renewed], "to the new place")
    assert receive(there_working, did, new.copies[0].envelope).sender_did == ALICE
    assert there.create_device(did, "leaver.test", "mail.test").fingerprint == leaver.fingerprint


def test_taking_in_the_same_again_changes_nothing(
    web: AgentClient, there: AgentClient, elsewhere: Agent, leaver: Device
) -> None:
    def keys() -> list[object]:
        return [
            elsewhere.execute(f"SELECT * FROM crypto_agent_{table} ORDER BY id")  # noqa: S608
            for table in ("account", "datakey", "devicekey", "prekeysecret", "archivekey", "attestationkey")
        ]

    expires_at = datetime.now(UTC) + timedelta(days=1)
    web.create_grant(leaver.did, "An app", ["attest"], expires_at=expires_at, hourly_limit=1)
    export = web.export_account(leaver.did, PASSPHRASE)
    there.import_account(leaver.did, PASSPHRASE, export.keys)
    before = keys()
    there.import_account(leaver.did, PASSPHRASE, export.keys)
    there.import_account(leaver.did, PASSPHRASE, web.export_account(leaver.did, PASSPHRASE).keys)
    assert keys() == before
    assert [len(rows) for rows in before[-1:]] == [2], "one of each curve"


def test_keys_that_are_here_already_are_kept_and_the_old_device_only_opens(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    elsewhere: Agent,
    devices: dict[str, Device],
    leaver: Device,
    old: bytes,
) -> None:
    did = leaver.did
    _, waiting = write(web, worker, ALICE, [leaver], "under way")
    mine = there.create_device(did, "leaver.test", "mail.test")
    _, new = write(web, worker, ALICE, [mine], "to the new device")
    here_first = archived(there_working, did, receive(there_working, did, new.copies[0].envelope))

    taken = there.import_account(did, PASSPHRASE, web.export_account(did, PASSPHRASE).keys)

    by_name = {each.fingerprint: each for each in taken.devices}
    assert by_name[mine.fingerprint] == mine
    assert by_name[leaver.fingerprint].revoked_at is not None
    for stored, text in ((old, "an old message"), (here_first, "to the new device")):
        (read,) = there_working.read_archive(did, [stored])
        assert read.message is not None
        assert there.read(did, [read.message.content])[0].text == text
    assert receive(there_working, did, waiting.copies[0].envelope).sender_did == ALICE
    _, sealed = write(there, there_working, did, [devices[ALICE]], "who signs?")
    assert receive(worker, ALICE, sealed.copies[0].envelope).sender_fingerprint == mine.fingerprint
    # Its key dies with its prekeys.
    states = f"SELECT state, wrapped FROM crypto_agent_devicekey WHERE fingerprint = '{leaver.fingerprint}'"  # noqa: S608
    assert elsewhere.execute(states)[0][0] == "retired"
    elsewhere.execute(
        "UPDATE crypto_agent_prekeysecret SET destroy_after = '2026-01-01' WHERE device_id ="  # noqa: S608
        f" (SELECT id FROM crypto_agent_devicekey WHERE fingerprint = '{leaver.fingerprint}')"
    )
    there.rotate_prekey(did, mine.fingerprint)
    assert [tuple(row) for row in elsewhere.execute(states)] == [("revoked", None)]


def test_a_device_that_opens_only_goes_along_to_the_next_place(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    own_agent: Agent,
    leaver: Device,
) -> None:
    did = leaver.did
    web.create_device(ALICE, "alice.test", "mail.test")
    _, waiting = write(web, worker, ALICE, [leaver], "under way")
    mine = there.create_device(did, "leaver.test", "mail.test")
    there.import_account(did, PASSPHRASE, web.export_account(did, PASSPHRASE).keys)

    third = own_agent.client()
    taken = third.import_account(did, PASSPHRASE, there.export_account(did, PASSPHRASE).keys)

    revoked = {each.fingerprint: each.revoked_at is not None for each in taken.devices}
    assert revoked == {mine.fingerprint: False, leaver.fingerprint: True}
    assert receive(own_agent.client("worker"), did, waiting.copies[0].envelope).sender_did == ALICE
    there.revoke_device(did, mine.fingerprint)
    there.revoke_device(did, leaver.fingerprint)
    third.import_account(did, PASSPHRASE, there.export_account(did, PASSPHRASE).keys)
    assert receive(own_agent.client("worker"), did, waiting.copies[0].envelope).sender_did == ALICE


def test_a_prekey_of_a_locked_account_has_its_time_again_where_another_device_is_active(
    web: AgentClient, there: AgentClient, elsewhere: Agent, leaver: Device
) -> None:
    """It was kept for as long as nobody unlocks, and nothing replaces it there."""
    did = leaver.did
    locked = web.make_locked(did, Passphrase(PASSPHRASE), lifetime_s=600)
    export = web.unlocked(locked.session.token).export_account(did, PASSPHRASE)
    there.create_device(did, "leaver.test", "mail.test")
    there.import_account(did, PASSPHRASE, export.keys)
    its_own = (
        "WHERE device_id = (SELECT id FROM crypto_agent_devicekey"  # noqa: S608
        f" WHERE fingerprint = '{leaver.fingerprint}')"
    )
    times = f"SELECT destroy_after, expires_at FROM crypto_agent_prekeysecret {its_own}"  # noqa: S608
    ((destroy_after, expires_at),) = elsewhere.execute(times)
    kept = datetime.fromisoformat(destroy_after) - datetime.fromisoformat(expires_at)
    assert kept == timedelta(days=7)
    # As it was taken in before that was looked at.
    elsewhere.execute(
        "UPDATE crypto_agent_prekeysecret SET destroy_after = '2036-01-01', expires_at = '2026-01-01'"  # noqa: S608
        f" {its_own}"
    )
    there.create_device(BOB, "bob.test", "mail.test")
    there.rotate_prekey(BOB, there.list_devices(BOB)[0].fingerprint)
    assert list(elsewhere.execute(times)) == []


def test_a_prekey_that_comes_to_a_locked_account_is_kept_until_that_is_unlocked(
    web: AgentClient, there: AgentClient, elsewhere: Agent, leaver: Device
) -> None:
    did = leaver.did
    mine = there.create_device(did, "leaver.test", "mail.test")
    locked = there.make_locked(did, Passphrase(PASSPHRASE), lifetime_s=600)
    unlocked = there.unlocked(locked.session.token)
    unlocked.revoke_device(did, mine.fingerprint)
    unlocked.import_account(did, PASSPHRASE, web.export_account(did, PASSPHRASE).keys)
    times = (
        "SELECT destroy_after, expires_at FROM crypto_agent_prekeysecret WHERE device_id ="  # noqa: S608
        f" (SELECT id FROM crypto_agent_devicekey WHERE fingerprint = '{leaver.fingerprint}')"
    )
    ((destroy_after, expires_at),) = elsewhere.execute(times)
    kept = datetime.fromisoformat(destroy_after) - datetime.fromisoformat(expires_at)
    assert kept > timedelta(days=365)


def test_a_device_that_is_published_as_revoked_does_not_become_active(
    web: AgentClient, worker: AgentClient, there: AgentClient, there_working: AgentClient, leaver: Device
) -> None:
    did = leaver.did
    web.create_device(ALICE, "alice.test", "mail.test")
    _, waiting = write(web, worker, ALICE, [leaver], "under way")
    export = web.export_account(did, PASSPHRASE)
    taken = there.import_account(did, PASSPHRASE, export.keys, revoked=[leaver.fingerprint])
    assert taken.devices[0].revoked_at is not None
    assert receive(there_working, did, waiting.copies[0].envelope).sender_did == ALICE
    assert there.create_device(did, "leaver.test", "mail.test").fingerprint != leaver.fingerprint
    there.revoke_device(did, leaver.fingerprint)
    (opened,) = there_working.open(did, [waiting.copies[0].envelope])
    assert opened.error == "cannot-open"


def test_a_wrong_passphrase_or_a_changed_file_is_refused_and_leaves_nothing(
    web: AgentClient, there: AgentClient, elsewhere: Agent, leaver: Device
) -> None:
    did = leaver.did
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


def test_a_passphrase_typed_on_another_keyboard_is_the_same(
    web: AgentClient, there: AgentClient, leaver: Device
) -> None:
    keys = web.export_account(leaver.did, "caf\u00e9 au lait, s'il").keys
    there.import_account(leaver.did, "cafe\u0301 au lait, s'il", keys)


def _new_device(did: str, now: datetime) -> DeviceSecrets:
    key = ec.generate_private_key(ec.SECP256R1())
    encoded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    begins = now.replace(microsecond=0)
    certificate = issue_certificate(
        key, did, "leaver.test", "mail.test", os.urandom(16), begins, begins + timedelta(days=30)
    )
    return DeviceSecrets(certificate, None, now, None, encoded, [])


def test_a_crafted_file_plants_nothing_that_is_not_the_accounts(leaver: Device, there: AgentClient) -> None:
    """Whoever gives somebody a file with its passphrase decides what is in it."""
    certificate = parse_certificate(leaver.certificate_pem).der
    now = datetime.now(UTC)

    def crafted(did: str, *devices: DeviceSecrets) -> bytes:
        return seal_keys(did, AccountSecrets(bytes(32), devices, [], []), PASSPHRASE, now, os.urandom)

    of_another = DeviceSecrets(certificate, None, now, now, None, [])
    without_key = DeviceSecrets(certificate, None, now, None, b"no key", [])
    broken = DeviceSecrets(b"no certificate", None, now, now, None, [])
    prekey = PrekeySecrets(1, bytes(32), bytes(32), b"signature", now, now, now)
    revoked = DeviceSecrets(certificate, None, now, now, None, [prekey])
    with refused("BadExport"):
        there.import_account(
            leaver.did,
            PASSPHRASE,
            crafted(leaver.did, _new_device(leaver.did, now), _new_device(leaver.did, now)),
        )
    bad_ones = [(BOB, of_another), *((leaver.did, each) for each in (without_key, broken, revoked))]
    for did, bad in bad_ones:
        with refused("BadExport"):
            there.import_account(did, PASSPHRASE, crafted(did, bad))
    content = SealedContent("01" * 33, "01" * 32, b"sealed")
    with refused("NoSuchAccount"):
        there.seal_unsent("did:plc:" + "z" * 24, b"key", [content])


def test_the_largest_file_that_is_taken_takes_little_memory() -> None:
    now = datetime.now(UTC)
    prekeys = [PrekeySecrets(number, bytes(32), bytes(32), bytes(64), now, now, now) for number in range(4)]
    devices = [DeviceSecrets(bytes(100), None, now, now, bytes(1), prekeys)] * 900
    archive_keys = [ArchiveSecret(number, bytes(32), now) for number in range(4000)]
    did = new_did()
    keys = seal_keys(did, AccountSecrets(bytes(32), devices, archive_keys, []), PASSPHRASE, now, os.urandom)
    assert 900_000 < len(keys) < MOST_KEYS_BYTES
    tracemalloc.start()
    try:
        opened = open_export(did, keys, PASSPHRASE)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert len(opened.devices) == 900


@pytest.mark.django_db
def test_many_archive_keys_are_taken_in_by_as_few_queries_as_one() -> None:
    now = datetime.now(UTC)

    def queries(many: int) -> int:
        secrets = [ArchiveSecret(number, os.urandom(32), now) for number in range(many)]
        with CaptureQueriesContext(connection) as captured:
            import_account(new_did(), AccountSecrets(bytes(32), [], secrets, []), [], now, os.urandom)
        return len(captured)

    queries(1)  # The first of them puts the operator's key on record.
    assert queries(100) == queries(1)
    too_many = [ArchiveSecret(number, os.urandom(32), now) for number in range(4001)]
    did = new_did()
    keys = seal_keys(did, AccountSecrets(bytes(32), [], too_many, []), PASSPHRASE, now, os.urandom)
    with pytest.raises(BadExport):
        open_export(did, keys, PASSPHRASE)


@pytest.mark.django_db
def test_nobody_waits_for_their_turn_to_derive_while_they_hold_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has the turn may have to write before they give it back."""
    did = new_did()
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


def test_nothing_is_archived_to_a_key_that_came_with_an_import(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    devices: dict[str, Device],
    leaver: Device,
    old: bytes,
) -> None:
    did = leaver.did
    early = web.export_account(did, PASSPHRASE)
    web.rotate_data_key(did)
    _, first = write(web, worker, ALICE, [leaver], "the first one")
    second = archived(worker, did, receive(worker, did, first.copies[0].envelope))
    late = web.export_account(did, PASSPHRASE)
    stored = [old, second]
    # Also not to one that comes later, under a higher number than the place's own.
    for export in (early, late, early):
        there.import_account(did, PASSPHRASE, export.keys)
        _, sealed = write(web, worker, ALICE, [leaver], "at the new place")
        stored.append(archived(there_working, did, receive(there_working, did, sealed.copies[0].envelope)))
    assert [bool(read.message) for read in there_working.read_archive(did, stored)] == [True] * 5
    assert [bool(read.message) for read in worker.read_archive(did, stored)] == [True] * 2 + [False] * 3
    assert stored[2][:5] == stored[3][:5] == stored[4][:5]
