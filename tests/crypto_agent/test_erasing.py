"""What is erased never opens again."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crypto_agent.operator_keys.key_file import read_key_file
from tests.crypto_agent.leaving import PASSPHRASE, archived, refused
from tests.crypto_agent.people import ALICE, BOB, receive, write
from tests.crypto_agent.running_agent import Agent, running_agent
from tests.crypto_agent.test_passkeys import requiring_person


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
