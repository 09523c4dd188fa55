"""Messages and files as plain text, for an export: against a permit alone, and on record as what it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto_agent import devices, readable_export
from crypto_agent.client import (
    AgentClient,
    AgentLimited,
    AgentLocked,
    AgentRefused,
    Attachment,
    Device,
    NewMessage,
    Passphrase,
)
from crypto_agent.errors import NoExportBegun
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT
from tests.crypto_agent.running_agent import Agent, running_agent
from tests.crypto_agent.test_passkeys import requiring_person

pytestmark = pytest.mark.usefixtures("devices")
PASSPHRASE = "correct horse battery"


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(AgentRefused) as raised:
        yield
    assert raised.value.code == code


def _records(agent: Agent, did: str) -> list[tuple[str, int, str]]:
    rows = agent.execute(
        "SELECT purpose, count, outcome FROM crypto_agent_auditentry"  # noqa: S608
        f" WHERE did = '{did}' AND purpose LIKE '%Export%' ORDER BY sequence"
    )
    return [(row[0], row[1], row[2]) for row in rows]


def test_messages_are_given_out_against_a_permit_of_the_account_and_every_one_is_on_record(
    own_agent: Agent,
) -> None:
    web = own_agent.client("web")
    web.create_device(ALICE, "alice.test", "mail.test")
    web.create_device(BOB, "bob.test", "mail.test")
    written = [
        web.compose(ALICE, [BOB], f"number {number}", created_at=WRITTEN_AT).content for number in range(3)
    ]
    permit = web.begin_readable_export(ALICE)
    assert b"number" not in permit
    assert [read.text for read in web.read_for_export(ALICE, permit, written)] == [
        "number 0",
        "number 1",
        "number 2",
    ]
    keys_export = web.export_account(ALICE, PASSPHRASE).export_key
    for bad in (web.begin_readable_export(BOB), permit[:-1] + bytes([permit[-1] ^ 1]), b"x", keys_export):
        with refused("NoExportBegun"):
            web.read_for_export(ALICE, bad, written)
    with refused("CannotUnseal"):
        web.seal_export_part(ALICE, permit, "account", b"state")
    with refused("NotPermitted"):
        own_agent.client("worker").begin_readable_export(ALICE)
    assert _records(own_agent, ALICE)[:2] == [
        ("beginReadableExport", 1, "plain text exported"),
        ("readForExport", 3, "ok"),
    ]
    assert _records(own_agent, ALICE).count(("readForExport", 3, "NoExportBegun")) == 4


def test_a_file_is_given_out_against_the_permit_as_well(web: AgentClient) -> None:
    data, encrypted, plain = os.urandom(200_000), bytearray(), bytearray()
    made = web.encrypt_file(ALICE, "1", "a.bin", "a/b", len(data), [data], encrypted.extend)
    attachment = Attachment("1", made.sealed, "https://files.test/x", WRITTEN_AT + timedelta(days=30))
    message = web.compose(
        ALICE, [BOB], NewMessage("look", attachments=[attachment]), created_at=WRITTEN_AT
    ).content
    permit = web.begin_readable_export(ALICE)
    parts = web.read_for_export(ALICE, permit, [message])[0].parts
    (place,) = [index for index, part in enumerate(parts) if part["kind"] == 3]
    size = len(encrypted)
    assert web.decrypt_file_for_export(
        ALICE, permit, message, place, size, [bytes(encrypted)], plain.extend
    ) == len(data)
    assert bytes(plain) == data
    with refused("NoExportBegun"):
        web.decrypt_file_for_export(ALICE, b"x", message, place, size, [bytes(encrypted)], plain.extend)
    assert bytes(plain) == data


def test_the_passkey_is_asked_for_once_where_the_account_requires_it(agent: Agent) -> None:
    web = agent.client()
    did, authenticator, _ = requiring_person(agent)
    message = web.compose(did, [ALICE], "behind a passkey", created_at=WRITTEN_AT).content
    with refused("StepUpRequired"):
        web.begin_readable_export(did)
    with refused("WrongPasskey"):
        web.begin_readable_export(did, assertion=authenticator.get(web.passkey_challenge(did, "sign-in")))
    confirmed = authenticator.get(web.passkey_challenge(did, "export"))
    permit = web.begin_readable_export(did, assertion=confirmed)
    for _ in range(2):
        assert web.read_for_export(did, permit, [message])[0].text == "behind a passkey"
    with refused("WrongPasskey"):
        web.begin_readable_export(did, assertion=confirmed)


def test_a_locked_account_gives_nothing_out_but_to_who_unlocked_it_and_ends_with_the_session(
    web: AgentClient, device_of_somebody: Device
) -> None:
    did = device_of_somebody.did
    message = web.compose(did, [ALICE], "behind the lock", created_at=WRITTEN_AT).content
    before = web.begin_readable_export(did)
    session = web.make_locked(did, Passphrase(PASSPHRASE), lifetime_s=600).session
    with pytest.raises(AgentLocked):
        web.begin_readable_export(did)
    # Nor does a permit from before open the lock.
    with pytest.raises(AgentLocked):
        web.read_for_export(did, before, [message])
    unlocked = web.unlocked(session.token)
    permit = unlocked.begin_readable_export(did)
    assert unlocked.read_for_export(did, permit, [message])[0].text == "behind the lock"
    unlocked.lock_now(did)
    with pytest.raises(AgentLocked):
        unlocked.read_for_export(did, permit, [message])


@pytest.fixture
def device_of_somebody(web: AgentClient) -> Device:
    return web.create_device("did:plc:" + "w" * 24, "somebody.test", "mail.test")


@pytest.mark.django_db
def test_a_permit_ends() -> None:
    """In this process, since the agent's has a clock of its own."""
    now = datetime.now(UTC)
    devices.create_device(ALICE, "alice.test", "mail.test", now, os.urandom)
    permit = readable_export.begin(ALICE, now, os.urandom)
    almost = now + readable_export.LIFETIME - timedelta(seconds=2)
    assert readable_export.read(ALICE, permit, [], almost) == []
    with pytest.raises(NoExportBegun):
        readable_export.read(ALICE, permit, [], now + readable_export.LIFETIME)


def test_so_much_is_given_out_in_an_hour_and_much_of_it_raises_the_alarm(tmp_path: Path) -> None:
    limits = {
        "WAXWING_AGENT_HOURLY_LIMITS": "web.beginReadableExport=2,web.readForExport=30",
        "WAXWING_AGENT_ALARM_OPENED_OF_ACCOUNT": "20",
    }
    with running_agent(tmp_path, **limits) as agent:
        web = agent.client("web")
        web.create_device(ALICE, "alice.test", "mail.test")
        message = web.compose(ALICE, [BOB], "again and again", created_at=WRITTEN_AT).content
        permit = web.begin_readable_export(ALICE)
        web.begin_readable_export(ALICE)
        with pytest.raises(AgentLimited):
            web.begin_readable_export(ALICE)
        web.read_for_export(ALICE, permit, [message] * 19)
        assert web.list_alarms() == []
        web.read_for_export(ALICE, permit, [message] * 11)
        assert [alarm.things for alarm in web.list_alarms()] == [30]
        with pytest.raises(AgentLimited):
            web.read_for_export(ALICE, permit, [message])
