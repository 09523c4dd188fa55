"""What leaves an agent when an account is exported, and for whom it opens."""

import os
from pathlib import Path

import pytest

from crypto_agent import account_file
from crypto_agent.atsms.ids import message_id
from crypto_agent.client import (
    AgentClient,
    AgentLocked,
    Device,
    Passphrase,
)
from tests.crypto_agent.export_reader import decode, encode, open_keys
from tests.crypto_agent.leaving import PASSPHRASE, refused
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT, receive, target, write
from tests.crypto_agent.running_agent import running_agent


def test_what_was_never_signed_is_signed_and_sent_from_there(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    devices: dict[str, Device],
    leaver: Device,
) -> None:
    did = leaver.did
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
    _, from_alice = write(web, worker, ALICE, [leaver], "of another")
    incoming = receive(worker, did, from_alice.copies[0].envelope)
    with refused("CannotUnseal"):
        web.seal_unsent(did, export.export_key, [incoming.content])
    for bad in (parts[0][:-1] + bytes([parts[0][-1] ^ 1]), b"nothing", b"\x80"):
        with refused("BadExport"):
            there_working.open_unsent(did, taken.import_key, [bad])


def test_what_is_written_in_another_way_than_messages_are_is_not_taken(
    web: AgentClient, there: AgentClient, there_working: AgentClient, leaver: Device
) -> None:
    """By somebody who has the passphrase, and so may write parts as they like."""
    did = leaver.did
    export = web.export_account(did, PASSPHRASE)
    _, keys = open_keys(export.keys, PASSPHRASE)
    taken = there.import_account(did, PASSPHRASE, export.keys)
    plaintext = account_file.open_part(
        keys["exportKey"], did, "unsent", "", _unsent(web, did, export.export_key)
    )
    conversation, _, content = decode(plaintext)
    assert content[:2] == b"\x8c\x02"
    # The version in two bytes, where one is enough.
    longer = content[:1] + b"\x18\x02" + content[2:]
    names_itself = message_id(did, conversation, longer, decode(content)[1])
    part = account_file.seal_part(
        keys["exportKey"], did, "unsent", "", encode([conversation, names_itself, longer]), os.urandom
    )
    with refused("BadExport"):
        there_working.open_unsent(did, taken.import_key, [part])


def test_what_the_database_knows_opens_under_its_name_alone(
    web: AgentClient, there: AgentClient, leaver: Device
) -> None:
    did = leaver.did
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


@pytest.mark.parametrize("weak", ["short", "eleven char", "x" * 1025, "é" * 600])
def test_a_passphrase_is_neither_short_nor_endless(web: AgentClient, leaver: Device, weak: str) -> None:
    with refused("WeakPassphrase"):
        web.export_account(leaver.did, weak)


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


def test_a_locked_account_is_exported_by_who_unlocked_it_and_is_managed_where_it_comes_to(
    web: AgentClient,
    worker: AgentClient,
    there: AgentClient,
    there_working: AgentClient,
    leaver: Device,
    old: bytes,
) -> None:
    did = leaver.did
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
