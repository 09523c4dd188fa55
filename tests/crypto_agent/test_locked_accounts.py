"""Accounts that their users locked, in a running agent: who can open what, when, and with what."""
# ruff: noqa: S608 (nobody but a test gives the queries their names)

import base64
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from crypto_agent import recovery_codes
from crypto_agent.atsms.json_bytes import to_json
from crypto_agent.client import AgentError, AgentLocked, Device, Passphrase, RecoveryCode, TooManyGuesses
from demo.local_network import NetworkInfo
from tests.crypto_agent.app import MakeApp, Refused
from tests.crypto_agent.authenticator import Authenticator
from tests.crypto_agent.people import BOB, WRITTEN_AT, receive, target, write
from tests.crypto_agent.persons import PASSPHRASE, WRONG, locked_person, new_person, refused
from tests.crypto_agent.running_agent import Agent, CheckedClient

ANOTHER = Passphrase("a staple and some more")


def test_mail_waits_while_the_account_is_locked_and_opens_when_it_is_unlocked(either_agent: Agent) -> None:
    agent = either_agent
    web, worker = agent.client(), agent.client("worker")
    did, locked = locked_person(agent)
    bob = web.create_device(BOB, "bob.test", "mail.test")
    web.lock_now(did, everywhere=True)
    (alice,) = web.list_devices(did)
    composed = web.compose(BOB, [did], "Good morning", created_at=WRITTEN_AT)
    sealed = worker.seal(BOB, composed.content, [target(alice)])
    for attempt in (
        lambda: worker.open(did, [sealed.copies[0].envelope]),
        lambda: web.compose(did, [BOB], "Hello", created_at=WRITTEN_AT),
        lambda: web.unlocked(locked.session.token).compose(did, [BOB], "Hello", created_at=WRITTEN_AT),
    ):
        with pytest.raises(AgentLocked):
            attempt()
    session = web.unlock(did, PASSPHRASE, lifetime_s=3600)
    message = receive(worker, did, sealed.copies[0].envelope)
    assert web.unlocked(session.token).read(did, [message.content])[0].text == "Good morning"
    _, answer = write(web.unlocked(session.token), worker, did, [bob], "And to you")
    assert receive(worker, BOB, answer.copies[0].envelope).sender_did == did


def test_what_was_there_before_the_lock_opens_after_it_and_after_it_went(either_agent: Agent) -> None:
    web, worker = either_agent.client(), either_agent.client("worker")
    did = new_person(either_agent)
    before = web.compose(did, [BOB], "Before", created_at=WRITTEN_AT)
    session = web.make_locked(did, PASSPHRASE, lifetime_s=3600).session
    unlocked = web.unlocked(session.token)
    within = unlocked.compose(did, [BOB], "Within", created_at=WRITTEN_AT)
    assert [read.text for read in unlocked.read(did, [before.content, within.content])] == [
        "Before",
        "Within",
    ]
    web.make_managed(did, PASSPHRASE)
    after = web.compose(did, [BOB], "After", created_at=WRITTEN_AT)
    contents = [before.content, within.content, after.content]
    assert [read.text for read in web.read(did, contents)] == ["Before", "Within", "After"]
    worker.seal(did, before.content, [])
    custody = web.custody(did)
    assert (custody.mode, custody.unlocked, custody.secrets) == ("managed", True, [])


def test_an_unlocked_browser_is_no_other_browser(agent: Agent) -> None:
    web, worker = agent.client(), agent.client("worker")
    did, locked = locked_person(agent)
    mine = web.unlocked(locked.session.token)
    composed = mine.compose(did, [BOB], "Mine", created_at=WRITTEN_AT)
    assert mine.custody(did).unlocked
    assert not web.custody(did).unlocked
    assert worker.custody(did).unlocked
    for other in (web, web.unlocked("x" * 43), web.unlocked(locked.session.token[:-1] + "!")):
        with pytest.raises(AgentLocked):
            other.read(did, [composed.content])
    second = web.unlock(did, PASSPHRASE, lifetime_s=3600)
    mine.lock_now(did)
    with pytest.raises(AgentLocked):
        mine.read(did, [composed.content])
    worker.seal(did, composed.content, [])
    web.unlocked(second.token).lock_now(did)
    with pytest.raises(AgentLocked):
        worker.seal(did, composed.content, [])


def test_a_token_opens_no_other_account(agent: Agent) -> None:
    web = agent.client()
    (mine, my_lock), (yours, _) = locked_person(agent), locked_person(agent)
    with pytest.raises(AgentLocked):
        web.unlocked(my_lock.session.token).compose(yours, [mine], "Hello", created_at=WRITTEN_AT)


def test_a_restart_locks_every_locked_account(own_agent: Agent) -> None:
    web = own_agent.client()
    did, locked = locked_person(own_agent)
    own_agent.kill()
    own_agent.start()
    with pytest.raises(AgentLocked):
        web.unlocked(locked.session.token).compose(did, [BOB], "Hello", created_at=WRITTEN_AT)
    session = web.unlock(did, PASSPHRASE, lifetime_s=60)
    web.unlocked(session.token).compose(did, [BOB], "Hello", created_at=WRITTEN_AT)


def test_passphrases_may_be_guessed_five_times_by_however_many_at_once(either_agent: Agent) -> None:
    did, _ = locked_person(either_agent)
    outcomes: Counter[str] = Counter()
    while "TooManyGuesses" not in outcomes:
        outcomes += _guess_at_once(either_agent, did, 16)
    assert outcomes["WrongSecret"] == 5
    assert outcomes.keys() <= {"WrongSecret", "TooManyGuesses", "AgentBusy"}
    web = either_agent.client()
    with pytest.raises(TooManyGuesses) as held:
        web.unlock(did, PASSPHRASE, lifetime_s=60)
    assert 0 < held.value.retry_after_s <= 60
    wait_until = web.custody(did).wait_until
    assert wait_until is not None
    _minutes_pass(either_agent, did, 1)
    assert web.custody(did).wait_until is None
    outcomes = _guess_at_once(either_agent, did, 8)
    assert outcomes["WrongSecret"] == 1
    with pytest.raises(TooManyGuesses) as held:
        web.unlock(did, PASSPHRASE, lifetime_s=60)
    assert 60 < held.value.retry_after_s <= 120
    _minutes_pass(either_agent, did, 2)
    web.unlock(did, PASSPHRASE, lifetime_s=60)
    for _ in range(4):
        with refused("WrongSecret"):
            web.unlock(did, WRONG, lifetime_s=60)
    web.unlock(did, PASSPHRASE, lifetime_s=60)


def _guess_at_once(agent: Agent, did: str, count: int) -> Counter[str]:
    web = agent.client()

    def guess(_: int) -> str:
        try:
            web.unlock(did, WRONG, lifetime_s=60)
        except AgentError as error:
            return error.code
        return "opened"

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(guess, range(count)))


def _minutes_pass(agent: Agent, did: str, minutes: int) -> None:
    """As far as waiting is concerned."""
    whose = f"account_id = (SELECT id FROM crypto_agent_account WHERE did = '{did}')"
    ((until,),) = agent.execute(f"SELECT wait_until FROM crypto_agent_accountcustody WHERE {whose}")
    until = datetime.fromisoformat(until) if isinstance(until, str) else until
    sooner = (until - timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S.%f")
    agent.execute(f"UPDATE crypto_agent_accountcustody SET wait_until = '{sooner}' WHERE {whose}")


def test_a_restart_gives_no_further_guesses(own_agent: Agent) -> None:
    did, _ = locked_person(own_agent)
    guesses: Counter[str] = Counter()
    while guesses["WrongSecret"] < 5:
        guesses += _guess_at_once(own_agent, did, 2)
    own_agent.kill()
    own_agent.start()
    with pytest.raises(TooManyGuesses):
        own_agent.client().unlock(did, PASSPHRASE, lifetime_s=60)


def test_changes_of_custody_count_as_guesses_too(agent: Agent) -> None:
    web = agent.client()
    did, _ = locked_person(agent)
    for step in (
        lambda: web.make_managed(did, WRONG),
        lambda: web.change_passphrase(did, WRONG, ANOTHER),
        lambda: web.new_recovery_code(did, WRONG),
        lambda: web.remove_lock_secret(did, WRONG, "00" * 8),
        lambda: web.add_lock_secret(did, WRONG, ANOTHER),
    ):
        with refused("WrongSecret"):
            step()
    with pytest.raises(TooManyGuesses):
        web.make_managed(did, PASSPHRASE)
    assert web.custody(did).mode == "locked"


def test_a_forgotten_passphrase_is_survived_by_the_recovery_code_alone(either_agent: Agent) -> None:
    web = either_agent.client()
    did, locked = locked_person(either_agent)
    content = web.unlocked(locked.session.token).compose(did, [BOB], "Hello", created_at=WRITTEN_AT).content
    _guess_at_once(either_agent, did, 6)
    code = RecoveryCode(locked.recovery_code.lower())
    with refused("MistypedRecoveryCode"):
        web.unlock(did, RecoveryCode(f"{locked.recovery_code[:-1]}*"), lifetime_s=60)
    with refused("WrongSecret"):
        web.unlock(did, RecoveryCode(locked_person(either_agent)[1].recovery_code), lifetime_s=60)
    web.change_passphrase(did, code, ANOTHER)
    session = web.unlock(did, ANOTHER, lifetime_s=60)
    assert web.unlocked(session.token).read(did, [content])[0].text == "Hello"
    with pytest.raises(AgentLocked):
        web.unlocked(locked.session.token).read(did, [content])
    with refused("WrongSecret"):
        web.unlock(did, PASSPHRASE, lifetime_s=60)
    new_code = web.new_recovery_code(did, ANOTHER)
    with refused("WrongSecret"):
        web.unlock(did, code, lifetime_s=60)
    web.unlock(did, RecoveryCode(new_code), lifetime_s=60)


def test_custody_is_told_without_a_secret(agent: Agent) -> None:
    web = agent.client()
    did = new_person(agent)
    managed = web.custody(did)
    assert (managed.mode, managed.unlocked, managed.unlocked_until) == ("managed", True, None)
    assert (managed.secrets, managed.recovery_code_at, managed.passkeys_available) == ([], None, True)
    session = web.make_locked(did, PASSPHRASE, lifetime_s=3600).session
    custody = web.unlocked(session.token).custody(did)
    assert (custody.mode, custody.unlocked, [each.kind for each in custody.secrets]) == (
        *("locked", True),
        ["passphrase"],
    )
    assert custody.unlocked_until is not None
    assert abs(custody.unlocked_until - session.expires_at) < timedelta(seconds=5)
    assert custody.recovery_code_at is not None
    assert web.custody("did:plc:stranger").mode == "managed"


def test_each_step_has_its_time(agent: Agent) -> None:
    web = agent.client()
    did = new_person(agent)
    for step in (
        lambda: web.unlock(did, PASSPHRASE, lifetime_s=60),
        lambda: web.make_managed(did, PASSPHRASE),
        lambda: web.change_passphrase(did, PASSPHRASE, ANOTHER),
    ):
        with refused("AccountNotLocked"):
            step()
    with refused("WeakPassphrase"):
        web.make_locked(did, Passphrase("too short"), lifetime_s=60)
    web.make_locked(did, PASSPHRASE, lifetime_s=60)
    with refused("AlreadyLocked"):
        web.make_locked(did, PASSPHRASE, lifetime_s=60)
    with refused("AlreadyLocked"):
        web.add_lock_secret(did, PASSPHRASE, ANOTHER)
    (secret,) = web.custody(did).secrets
    with refused("LastWayIn"):
        web.remove_lock_secret(did, PASSPHRASE, secret.secret_id)
    with refused("NoSuchSecret"):
        web.remove_lock_secret(did, PASSPHRASE, "00" * 8)
    web.lock_now("did:plc:stranger", everywhere=True)


def test_the_worker_changes_no_custody_and_unlocks_nothing(agent: Agent) -> None:
    worker = agent.client("worker")
    did, _ = locked_person(agent)
    for step in (
        lambda: worker.unlock(did, PASSPHRASE, lifetime_s=60),
        lambda: worker.make_managed(did, PASSPHRASE),
        lambda: worker.lock_now(did, everywhere=True),
    ):
        with refused("NotPermitted"):
            step()


def test_many_unlock_at_once_and_each_has_a_session(either_agent: Agent) -> None:
    web = either_agent.client()
    did, locked = locked_person(either_agent)
    content = web.unlocked(locked.session.token).compose(did, [BOB], "Hello", created_at=WRITTEN_AT).content
    web.lock_now(did, everywhere=True)
    code = RecoveryCode(locked.recovery_code)

    def unlock_and_read(_: int) -> tuple[str, str | None]:
        session = web.unlock(did, code, lifetime_s=60)
        return session.token, web.unlocked(session.token).read(did, [content])[0].text

    with ThreadPoolExecutor(8) as pool:
        unlocked = list(pool.map(unlock_and_read, range(16)))
    assert len({token for token, _ in unlocked}) == 16
    assert {text for _, text in unlocked} == {"Hello"}


def test_nothing_is_lost_while_keys_rotate_under_what_uses_them(either_agent: Agent) -> None:
    web, worker = either_agent.client(), either_agent.client("worker")
    did, locked = locked_person(either_agent)
    mine = web.unlocked(locked.session.token)
    bob = web.create_device(BOB, "bob.test", "mail.test")
    (alice,) = web.list_devices(did)

    def use(number: int) -> str | None:
        if number % 8 == 0:
            mine.rotate_data_key(did)
        if number == 16:
            mine.rotate_prekey(did, alice.fingerprint, force=True)
        composed, sealed = write(mine, worker, did, [bob], f"number {number}")
        _, answer = write(web, worker, BOB, web.list_devices(did), f"answer {number}")
        received = receive(worker, did, answer.copies[0].envelope)
        texts = mine.read(did, [composed.content, received.content])
        return f"{texts[0].text}, {texts[1].text}, {len(sealed.copies)}"

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(use, range(32)))
    assert said == [f"number {number}, answer {number}, 1" for number in range(32)]
    assert mine.rotate_data_key(did) == 7


def test_every_private_key_is_under_the_newest_data_key_after_a_lock(agent: Agent) -> None:
    web = agent.client()
    did = new_person(agent)
    expires_at = datetime.now(UTC) + timedelta(days=1)
    web.create_grant(did, "An app", ["attest"], expires_at=expires_at, hourly_limit=10)
    web.make_locked(did, PASSPHRASE, lifetime_s=60)
    whose = f"account_id = (SELECT id FROM crypto_agent_account WHERE did = '{did}')"
    for table in ("devicekey", "archivekey", "attestationkey"):
        rows = agent.execute(f"SELECT key_version FROM crypto_agent_{table} WHERE {whose}")
        assert rows
        assert set(rows) == {(2,)}
    prekeys = agent.execute(
        "SELECT key_version FROM crypto_agent_prekeysecret WHERE device_id IN "
        f"(SELECT id FROM crypto_agent_devicekey WHERE {whose})"
    )
    assert prekeys == [(2,)]


def test_without_an_audit_log_nothing_is_locked_or_unlocked(own_agent: Agent) -> None:
    web, worker = own_agent.client(), own_agent.client("worker")
    did, locked = locked_person(own_agent)
    managed = new_person(own_agent)
    web.lock_now(did, everywhere=True)
    own_agent.execute(
        "CREATE TRIGGER read_only BEFORE INSERT ON crypto_agent_auditentry "
        "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )
    for step in (
        lambda: web.unlock(did, PASSPHRASE, lifetime_s=60),
        lambda: web.unlock(did, RecoveryCode(locked.recovery_code), lifetime_s=60),
        lambda: web.unlock(did, WRONG, lifetime_s=60),
        lambda: web.make_locked(managed, PASSPHRASE, lifetime_s=60),
        lambda: web.make_managed(did, PASSPHRASE),
    ):
        with refused("AuditUnavailable"):
            step()
    own_agent.execute("DROP TRIGGER read_only")
    assert not worker.custody(did).unlocked
    assert (web.custody(did).mode, web.custody(managed).mode) == ("locked", "managed")


def test_a_locked_account_can_be_erased_and_begun_anew(agent: Agent) -> None:
    web = agent.client()
    did, locked = locked_person(agent)
    mine = web.unlocked(locked.session.token)
    content = mine.compose(did, [BOB], "Hello", created_at=WRITTEN_AT).content
    assert web.erase_account(did)
    with refused("NoSuchAccount"):
        mine.read(did, [content])
    web.create_device(did, "alice.test", "mail.test")
    assert web.custody(did).mode == "managed"
    assert mine.read(did, [content])[0].error == "cannot-unseal"


def test_a_locked_accounts_prekey_waits_to_be_replaced_and_opens_what_waited(agent: Agent) -> None:
    web, worker = agent.client(), agent.client("worker")
    did, _ = locked_person(agent)
    web.lock_now(did, everywhere=True)
    (alice,) = web.list_devices(did)
    bob = web.create_device(BOB, "bob.test", "mail.test")
    composed = web.compose(BOB, [did], "Good morning", created_at=WRITTEN_AT)
    waiting = worker.seal(BOB, composed.content, [target(alice)]).copies[0].envelope
    with pytest.raises(AgentLocked):
        worker.rotate_prekey(did, alice.fingerprint, force=True)
    _weeks_pass(agent, alice.fingerprint, 6)
    # What destroys expired prekeys goes on for everybody.
    worker.rotate_prekey(BOB, bob.fingerprint, force=True)
    web.unlock(did, PASSPHRASE, lifetime_s=60)
    receive(worker, did, waiting)
    replaced = worker.rotate_prekey(did, alice.fingerprint)
    assert replaced.prekey != alice.prekey
    receive(worker, did, waiting)
    _weeks_pass(agent, alice.fingerprint, 2)
    worker.rotate_prekey(did, alice.fingerprint)
    assert worker.open(did, [waiting])[0].error is not None


def _weeks_pass(agent: Agent, fingerprint: str, weeks: int) -> None:
    """As far as the prekeys of one device are concerned."""
    device = f"(SELECT id FROM crypto_agent_devicekey WHERE fingerprint = '{fingerprint}')"
    prekeys = "SELECT id, created_at, expires_at, destroy_after FROM crypto_agent_prekeysecret"
    for row_id, *times in agent.execute(f"{prekeys} WHERE device_id = {device}"):
        created, expires, destroy = (
            (datetime.fromisoformat(each) - timedelta(weeks=weeks)).strftime("%Y-%m-%d %H:%M:%S.%f")
            for each in times
        )
        agent.execute(
            f"UPDATE crypto_agent_prekeysecret SET created_at = '{created}', expires_at = '{expires}', "
            f"destroy_after = '{destroy}' WHERE id = {row_id}"
        )


def test_a_managed_accounts_prekey_has_its_time_again_after_the_lock(agent: Agent) -> None:
    web = agent.client()
    did, _ = locked_person(agent)
    query = (
        "SELECT destroy_after, expires_at FROM crypto_agent_prekeysecret WHERE device_id = (SELECT id FROM "
        f"crypto_agent_devicekey WHERE fingerprint = '{web.list_devices(did)[0].fingerprint}')"
    )

    def kept() -> timedelta:
        ((destroy_after, expires_at),) = agent.execute(query)
        return datetime.fromisoformat(destroy_after) - datetime.fromisoformat(expires_at)

    assert kept() > timedelta(days=3000)
    web.make_managed(did, PASSPHRASE)
    assert kept() == timedelta(days=7)


def test_no_secret_of_a_user_is_written_down(own_agent: Agent) -> None:
    web = own_agent.client()
    did, locked = locked_person(own_agent)
    session = web.unlock(did, PASSPHRASE, lifetime_s=60)
    with suppress(AgentError):
        web.unlock(did, WRONG, lifetime_s=60)
    with suppress(AgentError):
        web.unlock(did, RecoveryCode(locked.recovery_code[:-1]), lifetime_s=60)
    authenticator = Authenticator()
    web.add_passkey(did, "A phone", authenticator.create(web.begin_passkey(did, "alice.test")))
    use = authenticator.use(web.passkey_challenge(did, "change-custody"))
    web.add_lock_secret(did, PASSPHRASE, use)
    web.unlocked(session.token).compose(did, [BOB], "Hello", created_at=WRITTEN_AT)
    assert use.prf is not None
    files = b"".join(path.read_bytes() for path in own_agent.directory.glob("agent.sqlite3*"))
    code = recovery_codes.read(locked.recovery_code)
    for secret in (
        PASSPHRASE.text.encode(),
        WRONG.text.encode(),
        session.token.encode(),
        locked.session.token.encode(),
        locked.recovery_code.encode(),
        locked.recovery_code.replace("-", "").encode(),
        *(code, code.hex().encode()),
        *(use.prf, use.prf.hex().encode(), base64.b64encode(use.prf)),
    ):
        assert secret not in own_agent.log
        assert secret not in files


@pytest.mark.usefixtures("bob")
def test_an_app_learns_that_the_account_is_locked(
    agent: Agent, web: CheckedClient, local_network: NetworkInfo, alice: Device, app: MakeApp
) -> None:
    granted, _ = app("status", "open", "sign")
    assert granted.call("status")["locked"] is False
    locked = web.make_locked(alice.did, PASSPHRASE, lifetime_s=60)
    try:
        assert granted.call("status")["locked"] is False
        web.lock_now(alice.did, everywhere=True)
        assert granted.call("status")["locked"] is True
        for method, fields in (
            ("open", {"envelopes": [to_json(b"envelope")]}),
            ("sign", {"message": {"recipients": [BOB], "text": "Hello"}}),
        ):
            with pytest.raises(Refused) as locked_out:
                granted.call(method, **fields)
            assert locked_out.value.code == "AccountLocked"
    finally:
        web.make_managed(alice.did, RecoveryCode(locked.recovery_code))
