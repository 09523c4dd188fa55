"""A ciphertext at rest opens for its purpose, account, conversation and message, and for nothing else."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from crypto_agent.client import AgentClient, AgentError, AgentRefused, ArchiveItem, Device, SealedContent
from tests.crypto_agent.people import ALICE, BOB, CAROL, WRITTEN_AT, receive, target, write
from tests.crypto_agent.running_agent import Agent


def _item(content: SealedContent) -> ArchiveItem:
    return ArchiveItem(content.conversation_id, content.message_id, content.sealed, WRITTEN_AT, None, "in")


def test_content_moved_to_another_place_is_not_read(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    mine = web.compose(ALICE, [BOB], "To bob", created_at=WRITTEN_AT).content
    other = web.compose(ALICE, [CAROL], "To carol", created_at=WRITTEN_AT).content
    theirs = web.compose(BOB, [ALICE], "To alice", created_at=WRITTEN_AT).content
    moved = [
        replace(mine, message_id=other.message_id),
        replace(mine, conversation_id=other.conversation_id),
        replace(other, sealed=mine.sealed),
        theirs,
        replace(mine, sealed=mine.sealed[:1] + b"\x02" + mine.sealed[2:]),
        replace(mine, sealed=mine.sealed[:5] + b"\x02" + mine.sealed[6:]),
        replace(mine, sealed=mine.sealed[:-1] + bytes((mine.sealed[-1] ^ 1,))),
        replace(mine, sealed=b"\x01"),
    ]
    read = web.read(ALICE, [mine, *moved])
    assert [message.error for message in read] == [None] + ["cannot-unseal"] * len(moved)
    assert web.read(BOB, [mine])[0].error == "cannot-unseal"
    for content in moved:
        with pytest.raises(AgentRefused) as refused:
            worker.seal(ALICE, content, [target(devices[BOB])])
        assert refused.value.code == "CannotUnseal"
        with pytest.raises(AgentRefused) as refused:
            worker.archive(ALICE, [_item(content)])
        assert refused.value.code == "CannotUnseal"


@pytest.mark.usefixtures("devices")
def test_content_of_which_nothing_is_left_keeps_no_other_from_being_read(web: AgentClient) -> None:
    mine = web.compose(ALICE, [BOB], "To bob", created_at=WRITTEN_AT).content
    read = web.read(ALICE, [replace(mine, sealed=b""), mine])
    assert [(message.text, message.error) for message in read] == [(None, "cannot-unseal"), ("To bob", None)]


def test_nothing_received_is_ever_signed(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    _, sealed = write(web, worker, ALICE, [devices[BOB]])
    received = receive(worker, BOB, sealed.copies[0].envelope)
    with pytest.raises(AgentRefused) as refused:
        worker.seal(BOB, received.content, [target(devices[ALICE])])
    assert refused.value.code == "CannotUnseal"


def test_an_archive_opens_for_its_account_alone(
    web: AgentClient, worker: AgentClient, devices: dict[str, Device]
) -> None:
    _, sealed = write(web, worker, ALICE, [devices[BOB]])
    received = receive(worker, BOB, sealed.copies[0].envelope)
    archived = worker.archive(BOB, [_item(received.content)])
    assert worker.read_archive(BOB, archived)[0].error is None
    assert [item.error for item in worker.read_archive(ALICE, archived)] == ["cannot-open"]


@pytest.mark.parametrize("column", ["wrapped", "key_version", "did"])
def test_keys_moved_between_accounts_do_not_work(own_agent: Agent, column: str) -> None:
    web, worker = own_agent.client("web"), own_agent.client("worker")
    alice = web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)
    bob_row = f"(SELECT wrapped FROM crypto_agent_devicekey WHERE fingerprint = '{bob.fingerprint}')"  # noqa: S608
    own_agent.execute(
        {
            "wrapped": f"UPDATE crypto_agent_devicekey SET wrapped = {bob_row} "  # noqa: S608
            f"WHERE fingerprint = '{alice.fingerprint}'",
            "key_version": "UPDATE crypto_agent_devicekey SET key_version = 2",
            "did": "UPDATE crypto_agent_datakey SET wrapped = (SELECT wrapped FROM crypto_agent_datakey "
            "WHERE account_id = 2) WHERE account_id = 1",
        }[column]
    )
    own_agent.kill()
    own_agent.start()
    with pytest.raises(AgentError) as failed:
        worker.seal(ALICE, composed.content, [target(bob)])
    assert failed.value.code == ("OperatorKeyMismatch" if column == "did" else "CannotUnseal")


def test_a_prekey_that_was_destroyed_is_not_put_back_as_another(own_agent: Agent) -> None:
    web, worker = own_agent.client("web"), own_agent.client("worker")
    web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    _, sealed = write(web, worker, ALICE, [bob])
    web.rotate_prekey(BOB, bob.fingerprint, force=True)
    own_agent.execute(
        "UPDATE crypto_agent_prekeysecret SET wrapped_secret = (SELECT p.wrapped_secret"
        " FROM crypto_agent_prekeysecret p WHERE p.generation = 1"
        " AND p.device_id = crypto_agent_prekeysecret.device_id) WHERE generation = 2"
    )
    own_agent.execute("DELETE FROM crypto_agent_prekeysecret WHERE generation = 1")
    with pytest.raises(AgentError) as failed:
        worker.open(BOB, [sealed.copies[0].envelope])
    assert failed.value.code == "CannotUnseal"


def test_a_public_key_put_into_the_database_gets_nothing_archived(own_agent: Agent) -> None:
    web, worker = own_agent.client("web"), own_agent.client("worker")
    web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    _, sealed = write(web, worker, ALICE, [bob])
    message = receive(worker, BOB, sealed.copies[0].envelope)
    planted = X25519PrivateKey.generate().public_key().public_bytes_raw()
    own_agent.execute(f"UPDATE crypto_agent_archivekey SET public_key = x'{planted.hex()}'")  # noqa: S608
    item = ArchiveItem(message.conversation_id, message.message_id, message.sealed, WRITTEN_AT, None, "in")
    (archived,) = worker.read_archive(BOB, worker.archive(BOB, [item]))
    assert archived.error is None


def test_another_operator_key_opens_nothing(own_agent: Agent) -> None:
    web = own_agent.client("web")
    web.create_device(ALICE, "alice.test", "mail.test")
    composed = web.compose(ALICE, [BOB], "Hello", created_at=WRITTEN_AT)
    own_agent.operator_key.unlink()
    own_agent.command("make_operator_key").check_returncode()
    own_agent.kill()
    own_agent.start()
    with pytest.raises(AgentError) as failed:
        web.read(ALICE, [composed.content])
    assert failed.value.code == "OperatorKeyMismatch"
