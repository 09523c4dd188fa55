"""No private key and no word of a message lies in the agent's log, its database, or an answer."""

import base64
import json
import secrets
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from crypto_agent.client import AgentError, ArchiveItem, Attachment, Composed, SealedContent
from crypto_agent.client_values import ReadMessage
from crypto_agent.custody import AccountKeys, unwrap_account_keys
from crypto_agent.operator_keys.key_file import read_key_file
from crypto_agent.prekey_secrets import prekey_contexts
from crypto_agent.purposes import Context, Purpose
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT, receive, target, write
from tests.crypto_agent.running_agent import Agent, CheckedClient

#: Without a space, it stands in logs as it is in whatever form a text came.
HEX = secrets.token_hex(16)
CANARY = f"canary {HEX}"


def _exercise(agent: Agent) -> tuple[CheckedClient, CheckedClient]:
    """Uses every method, well and badly, with the canary in every text."""
    web, worker = agent.client("web"), agent.client("worker")
    alice = web.create_device(ALICE, "alice.test", "mail.test")
    bob = web.create_device(BOB, "bob.test", "mail.test")
    composed, sealed = write(web, worker, ALICE, [bob], CANARY)
    message = receive(worker, BOB, sealed.copies[0].envelope)
    item = ArchiveItem(
        message.conversation_id, message.message_id, message.sealed, WRITTEN_AT, WRITTEN_AT, "in"
    )
    worker.read_archive(BOB, worker.archive(BOB, [item]))
    canary, out = CANARY.encode() * 1000, bytearray()
    file = web.encrypt_file(ALICE, "1", CANARY, f"text/{CANARY}", len(canary), [canary], out.extend)
    attachment = Attachment("1", file.sealed, f"https://files.test/{'0' * 64}", WRITTEN_AT)
    with_file = web.compose(ALICE, [BOB], "", created_at=WRITTEN_AT, attachments=[attachment])
    web.decrypt_file(ALICE, with_file.content, 0, len(out), [out], lambda _: None)
    web.rotate_prekey(ALICE, alice.fingerprint, force=True)
    web.list_devices(ALICE)
    for wrong in (
        lambda: web.compose(ALICE, [CANARY], CANARY, created_at=WRITTEN_AT),
        lambda: web.compose(ALICE, [BOB], CANARY * 2000, created_at=WRITTEN_AT),
        lambda: web.compose(ALICE, [BOB], CANARY, created_at=WRITTEN_AT - timedelta(days=36_500)),
        lambda: web.compose(ALICE, [BOB], CANARY, created_at=WRITTEN_AT, in_reply_to=CANARY * 2),
        lambda: worker.compose(ALICE, [BOB], CANARY, created_at=WRITTEN_AT),
        lambda: web.decrypt_file(ALICE, with_file.content, 0, len(canary), [canary], lambda _: None),
        lambda: web.encrypt_file(ALICE, "1", CANARY * 9, "a/b", len(canary), [canary], lambda _: None),
        lambda: worker.seal(BOB, composed.content, [target(alice)]),
        lambda: worker.open(BOB, [CANARY.encode(), sealed.copies[0].envelope[:-1]]),
        lambda: worker.read_archive(BOB, [CANARY.encode()]),
    ):
        with suppress(AgentError):
            wrong()
    # A failure that nobody foresaw: the database loses a table under the agent.
    agent.execute("ALTER TABLE crypto_agent_archivekey RENAME TO gone")
    with pytest.raises(AgentError):
        worker.archive(BOB, [item])
    agent.execute("ALTER TABLE gone RENAME TO crypto_agent_archivekey")
    return web, worker


def _private_keys(agent: Agent) -> list[bytes]:
    """Every secret that the database keeps encrypted, opened with the operator's key."""
    operator_key = read_key_file(agent.operator_key)
    found = [base64.urlsafe_b64decode(agent.operator_key.read_bytes())]
    for did, wrapped in agent.execute(
        "SELECT did, wrapped FROM crypto_agent_datakey k JOIN crypto_agent_account a ON a.id = account_id"
    ):
        found.append(operator_key.unwrap(wrapped, did, 1, 1))
        found += _account_keys(agent, unwrap_account_keys(did, [(1, wrapped, 1)], operator_key))
    return found


def _account_keys(agent: Agent, keys: AccountKeys) -> list[bytes]:
    found = []
    for did, generation, wrapped in agent.execute(
        "SELECT did, generation, wrapped FROM crypto_agent_archivekey k "
        "JOIN crypto_agent_account a ON a.id = k.account_id"
    ):
        if did == keys.did:
            found.append(keys.decrypt(Context(Purpose.ARCHIVE_KEY, did, device=str(generation)), wrapped, 1))
    for did, fingerprint, wrapped in agent.execute(
        "SELECT did, fingerprint, wrapped FROM crypto_agent_devicekey d "
        "JOIN crypto_agent_account a ON a.id = d.account_id"
    ):
        if did == keys.did:
            encoded = keys.decrypt(Context(Purpose.DEVICE_KEY, did, device=fingerprint), wrapped, 1)
            scalar = load_der_private_key(encoded, None).private_numbers().private_value
            found += [encoded, scalar.to_bytes(32, "big")]
    for did, fingerprint, generation, secret, signing_key in agent.execute(
        "SELECT did, fingerprint, generation, wrapped_secret, wrapped_signing_key "
        "FROM crypto_agent_prekeysecret p JOIN crypto_agent_devicekey d ON d.id = p.device_id "
        "JOIN crypto_agent_account a ON a.id = d.account_id"
    ):
        if did == keys.did:
            for purpose, ciphertext in (
                (Purpose.PREKEY_SECRET, secret),
                (Purpose.PREKEY_SIGNING_KEY, signing_key),
            ):
                context, _ = prekey_contexts(purpose, did, fingerprint, generation)
                found.append(keys.decrypt(context, ciphertext, 1))
    return found


def _forms(secret: bytes) -> list[bytes]:
    """The secret as it might be written down: raw, as hex, as Python shows it, and as base64 in any place."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode(), repr(secret)[2:-1].encode()]
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            encoded = alphabet(bytes(before) + secret)
            # The first and last few characters depend on the neighbours.
            forms.append(encoded[4 : len(encoded) // 4 * 4 - 4])
    return forms


def test_the_search_finds_what_is_written_down() -> None:
    secret = secrets.token_bytes(32)
    for before in range(4):
        assert any(form in base64.b64encode(bytes(before) + secret + b"more") for form in _forms(secret))
    assert any(form in str({"key": secret}).encode() for form in _forms(secret))


def test_no_secret_is_written_down_or_given_out(own_agent: Agent) -> None:
    web, worker = _exercise(own_agent)
    # Reading is the one thing that gives out text, to whoever may have it.
    answers = json.dumps(web.answers + worker.answers, ensure_ascii=False, default=bytes.hex).encode()
    (bob,) = worker.list_devices(BOB)
    assert bob.fingerprint.encode() in answers
    files = b"".join(path.read_bytes() for path in own_agent.directory.glob("agent.sqlite3*"))
    assert bob.fingerprint.encode() in files
    log = own_agent.log
    assert b"compose refused: InvalidRequest" in log
    assert b"archive failed: OperationalError" in log

    keys = _private_keys(own_agent)
    assert len(keys) == 1 + 2 * (1 + 1 + 2 + 2) + 2
    for secret in (*keys, HEX.encode(), own_agent.token_secret.encode()):
        for form in _forms(secret):
            assert form not in log
            assert form not in files
            assert form not in answers
    assert b"Traceback" not in log
    assert b"eyJ" not in log, "a token was logged"


def test_a_destroyed_key_is_gone_even_in_its_encrypted_form(own_agent: Agent) -> None:
    web = own_agent.client("web")
    alice = web.create_device(ALICE, "alice.test", "mail.test")
    rows = own_agent.execute(
        "SELECT d.wrapped, p.wrapped_secret, p.wrapped_signing_key "
        "FROM crypto_agent_devicekey d JOIN crypto_agent_prekeysecret p ON p.device_id = d.id"
    )
    own_agent.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert all(column in own_agent.database.read_bytes() for column in rows[0])
    web.revoke_device(ALICE, alice.fingerprint)
    with closing(sqlite3.connect(own_agent.database)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    files = b"".join(path.read_bytes() for path in own_agent.directory.glob("agent.sqlite3*"))
    assert alice.fingerprint.encode() in files
    assert not any(column in files for column in rows[0])


def test_reprs_hold_no_secret(own_agent: Agent) -> None:
    web = own_agent.client("web")
    web.create_device(ALICE, "alice.test", "mail.test")
    composed = web.compose(ALICE, [BOB], CANARY, created_at=WRITTEN_AT)
    (read,) = web.read(ALICE, [composed.content])
    assert read.text == CANARY
    operator_key = read_key_file(own_agent.operator_key)
    wrapped = own_agent.execute("SELECT wrapped FROM crypto_agent_datakey")[0][0]
    keys = unwrap_account_keys(ALICE, [(1, wrapped, 1)], operator_key)
    shown = repr([web, composed, composed.content, read, keys, operator_key, vars(keys)])
    for secret in (
        HEX.encode(),
        own_agent.token_secret.encode(),
        operator_key.unwrap(wrapped, ALICE, 1, 1),
    ):
        assert not any(form.decode("latin-1") in shown for form in _forms(secret))
    assert composed.message_id in shown


@pytest.mark.parametrize(
    "value",
    [
        Composed("01", "02", WRITTEN_AT, CANARY.encode()),
        SealedContent("01", "02", CANARY.encode()),
        ReadMessage("02", text=CANARY, fallback=CANARY, parts=[{"text": CANARY}]),
        ArchiveItem("01", "02", CANARY.encode(), WRITTEN_AT, None, "in"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_show_no_content(value: object) -> None:
    assert CANARY not in repr(value)
