"""The parts of a lock by themselves: secrets, recovery codes, guesses, sessions, challenges."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.apps import apps
from django.db import transaction

from crypto_agent import guesses, key_store, passphrase_turns, recovery_codes
from crypto_agent.calls import Call
from crypto_agent.client import Locked, PasskeyUse, Passphrase, RecoveryCode, UnlockSession
from crypto_agent.custody import KEY_BYTES
from crypto_agent.errors import (
    AccountLocked,
    AgentBusy,
    CannotUnseal,
    MistypedRecoveryCode,
    TooManyGuesses,
    WeakPassphrase,
    WrongPasskey,
    WrongSecret,
)
from crypto_agent.lock_key import (
    Argon2Parameters,
    check_new_passphrase,
    key_of_passkey,
    key_of_passphrase,
    key_of_recovery_code,
    lock_data_key,
    unlock_data_key,
    unwrap_lock_key,
    wrap_lock_key,
)
from crypto_agent.methods import METHODS
from crypto_agent.models import (
    Account,
    AccountCustody,
    ArchiveKey,
    AttestationKey,
    DataKey,
    DeviceKey,
    PrekeySecret,
    SearchSegment,
)
from crypto_agent.operator_keys.key_file import read_key_file, write_key_file
from crypto_agent.passkey_challenges import LIFETIME_S, MOST_OF_ACCOUNT, Challenges, PasskeyPurpose
from crypto_agent.unlock_sessions import MOST_SESSIONS, Asker, UnlockSessions, asking
from tests.crypto_agent.people import ALICE, BOB

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
#: As weak as Argon2id goes, since these tests derive a lot.
QUICK = Argon2Parameters(bytes(16), memory_kib=32, iterations=1, lanes=4)


def test_a_lock_key_opens_for_its_secret_account_and_row_alone() -> None:
    lock_key, key = os.urandom(32), os.urandom(32)
    wrapped = wrap_lock_key(key, lock_key, ALICE, "01", os.urandom)
    assert unwrap_lock_key(key, wrapped, ALICE, "01") == lock_key
    for other in ((os.urandom(32), ALICE, "01"), (key, BOB, "01"), (key, ALICE, "02")):
        with pytest.raises(WrongSecret):
            unwrap_lock_key(other[0], wrapped, other[1], other[2])
    with pytest.raises(WrongSecret):
        unwrap_lock_key(key, wrapped[:-1], ALICE, "01")


def test_a_data_key_opens_for_its_lock_account_and_version_alone() -> None:
    lock_key, data_key = os.urandom(32), os.urandom(32)
    locked = lock_data_key(lock_key, data_key, ALICE, 3, os.urandom)
    assert unlock_data_key(lock_key, locked, ALICE, 3) == data_key
    for key, did, version in ((os.urandom(32), ALICE, 3), (lock_key, BOB, 3), (lock_key, ALICE, 2)):
        with pytest.raises(CannotUnseal):
            unlock_data_key(key, locked, did, version)


def test_secrets_of_different_kinds_and_accounts_give_different_keys() -> None:
    secret = bytes(32)
    keys = {
        key_of_passkey(secret, ALICE, b"one"),
        key_of_passkey(secret, ALICE, b"two"),
        key_of_passkey(secret, BOB, b"one"),
        key_of_recovery_code(secret, ALICE),
        key_of_recovery_code(secret, BOB),
        key_of_passphrase("correct horse battery", QUICK),
        key_of_passphrase("correct horse battery ", QUICK),
        key_of_passphrase("Correct horse battery", QUICK),
    }
    assert len(keys) == 8
    assert {len(key) for key in keys} == {KEY_BYTES}


def test_a_passphrase_is_the_same_however_its_accents_were_typed() -> None:
    composed, decomposed = "caf\u00e9 au lait chaud", "cafe\u0301 au lait chaud"
    assert composed != decomposed
    assert key_of_passphrase(composed, QUICK) == key_of_passphrase(decomposed, QUICK)


def test_what_accounts_are_locked_with_takes_64_mib_and_three_passes() -> None:
    parameters = Argon2Parameters(bytes(16))
    assert (parameters.memory_kib, parameters.iterations, parameters.lanes) == (64 * 1024, 3, 4)


@pytest.mark.parametrize("text", ["", "x" * 11, "é" * 11, "e\u0301" * 11, "x" * 1025, "é" * 513])
def test_a_weak_or_endless_passphrase_is_refused(text: str) -> None:
    with pytest.raises(WeakPassphrase):
        check_new_passphrase(text)


@pytest.mark.parametrize("text", ["x" * 12, "é" * 12, "x" * 1024])
def test_a_passphrase_of_twelve_characters_will_do(text: str) -> None:
    check_new_passphrase(text)


def test_a_recovery_code_is_read_however_it_was_copied() -> None:
    code = recovery_codes.new_code(os.urandom)
    shown = recovery_codes.written(code)
    assert (len(code), len(shown), shown.count("-")) == (20, 44, 8)
    for typed in (shown, shown.lower(), shown.replace("-", ""), f"  {shown.replace('-', ' - ')}\n"):
        assert recovery_codes.read(typed) == code
    zeroes = recovery_codes.written(bytes(20))
    assert recovery_codes.read(zeroes.replace("0", "O").replace("1", "l")) == bytes(20)


def test_a_typing_mistake_is_told_from_another_code() -> None:
    code = bytes(range(20))
    shown = recovery_codes.written(code)
    places = [place for place, character in enumerate(shown) if character != "-"]
    wrong = {
        shown[:place] + other + shown[place + 1 :]
        for place in places
        for other in "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
        if other != shown[place]
    }
    wrong |= {
        shown[:one] + shown[two] + shown[one + 1 : two] + shown[one] + shown[two + 1 :]
        for one, two in pairwise(places)
        if shown[one] != shown[two]
    }
    wrong |= {"", "x", shown[:-1], f"{shown}0", f"U{shown[1:]}", f"é{shown[1:]}", "-" * 300}
    assert len(wrong) > 1000
    for typed in wrong:
        with pytest.raises(MistypedRecoveryCode):
            recovery_codes.read(typed)
    assert recovery_codes.read(recovery_codes.written(bytes(20))) != code


def test_waits_grow_from_a_minute_to_an_hour() -> None:
    waits = [guesses.wait_after(count).total_seconds() / 60 for count in range(1, 14)]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert guesses.wait_after(1_000_000) == timedelta(hours=1)


@pytest.mark.django_db
def test_guesses_are_counted_waited_for_and_forgiven() -> None:
    account = Account.objects.create(did=ALICE, created_at=NOW)
    AccountCustody.objects.create(account=account, user_handle=bytes(32))
    for _ in range(5):
        guesses.count(ALICE, NOW)
    with pytest.raises(TooManyGuesses) as refused:
        guesses.count(ALICE, NOW + timedelta(seconds=1))
    assert refused.value.retry_after_s == 59
    guesses.count(ALICE, NOW + timedelta(minutes=1))
    with pytest.raises(TooManyGuesses) as refused:
        guesses.count(ALICE, NOW + timedelta(minutes=2))
    assert refused.value.retry_after_s == 60
    guesses.forgive(ALICE)
    for _ in range(5):
        guesses.count(ALICE, NOW)


def test_a_new_data_key_reaches_every_table_but_what_is_content() -> None:
    """A table that is new here has to be encrypted again by data_key_rotation, or be content."""
    wrapped_by_operator = {DataKey}
    content = {SearchSegment}
    encrypted_again = {DeviceKey, PrekeySecret, ArchiveKey, AttestationKey}
    tables = {
        model
        for model in apps.get_app_config("crypto_agent").get_models()
        if "key_version" in {field.name for field in model._meta.get_fields()}
    }
    assert tables == wrapped_by_operator | content | encrypted_again


def test_several_derivations_wait_and_more_are_turned_away() -> None:
    working, done = threading.Semaphore(0), threading.Event()
    at_once: list[int] = []
    now_in: list[int] = []

    def derive(number: int) -> None:
        with passphrase_turns.turn(f"did:plc:{number}"):
            now_in.append(number)
            at_once.append(len(now_in))
            working.release()
            done.wait(10)
            now_in.remove(number)

    threads = [threading.Thread(target=derive, args=(n,)) for n in range(passphrase_turns.MOST_AT_ONCE)]
    for thread in threads:
        thread.start()
    assert working.acquire(timeout=10)
    while passphrase_turns._places.total() < passphrase_turns.MOST_AT_ONCE:
        done.wait(0.01)
    with pytest.raises(AgentBusy), passphrase_turns.turn(ALICE):
        pass
    done.set()
    for thread in threads:
        thread.join()
    assert at_once == [1] * passphrase_turns.MOST_AT_ONCE
    with passphrase_turns.turn(ALICE):
        pass


def test_one_account_does_not_take_all_turns() -> None:
    ready, done = threading.Barrier(passphrase_turns.MOST_OF_ONE + 1), threading.Event()

    def derive() -> str:
        places = passphrase_turns._places
        assert places.take(ALICE)
        ready.wait(10)
        done.wait(10)
        places.give_back(ALICE)
        return "derived"

    with ThreadPoolExecutor(passphrase_turns.MOST_OF_ONE) as pool:
        derived = [pool.submit(derive) for _ in range(passphrase_turns.MOST_OF_ONE)]
        ready.wait(10)
        with pytest.raises(AgentBusy), passphrase_turns.turn(ALICE):
            pass
        with passphrase_turns.turn(BOB):
            done.set()
        assert [each.result() for each in derived] == ["derived"] * passphrase_turns.MOST_OF_ONE
    with passphrase_turns.turn(ALICE):
        pass


@pytest.mark.django_db
def test_a_secret_that_was_replaced_while_it_was_tried_opens_nothing() -> None:
    old, new = {"passphrase": "the old passphrase"}, "the new passphrase"

    def prepared(name: str, **fields: object) -> Callable[[], object]:
        return METHODS[name].prepared(Call({"did": ALICE, **fields}, NOW, os.urandom))

    with transaction.atomic():
        key_store.new_account(ALICE, NOW, os.urandom)
    # Of an account that is managed still, a passkey makes a new code.
    new_code = prepared("newRecoveryCode", proof={"credential": {}})
    prepared("makeLocked", secret=old, lifetimeSeconds=60)()
    unlocking = prepared("unlock", secret=old, lifetimeSeconds=60)
    taking_the_lock_away = prepared("makeManaged", proof=old)
    prepared("changePassphrase", proof=old, passphrase=new)()
    for late in (new_code, unlocking, taking_the_lock_away):
        with pytest.raises(WrongSecret):
            late()
    prepared("unlock", secret={"passphrase": new}, lifetimeSeconds=60)()


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def _found(sessions: UnlockSessions, asker: Asker, lock_id: str = "lock") -> bool:
    with asking(asker):
        try:
            sessions.find(ALICE, lock_id)
        except AccountLocked:
            return False
        return True


def test_a_session_lives_for_its_lifetime_and_its_keys_no_longer() -> None:
    clock = Clock()
    sessions = UnlockSessions(clock)
    sessions.begin(ALICE, "lock", b"k" * 32, "short", 60)
    sessions.begin(ALICE, "lock", b"k" * 32, "long", 600)
    short, long, anybody = Asker("short"), Asker("long"), Asker(any_session=True)
    assert [_found(sessions, asker) for asker in (short, long, anybody)] == [True, True, True]
    assert not _found(sessions, Asker("other"))
    assert not _found(sessions, Asker())
    assert not _found(sessions, long, "another lock")
    clock.seconds += 60
    assert [_found(sessions, asker) for asker in (short, long, anybody)] == [False, True, True]
    clock.seconds += 539
    assert _found(sessions, anybody)
    clock.seconds += 1
    assert not _found(sessions, anybody)
    assert sessions._accounts == {}


def test_keys_are_dropped_when_their_time_is_over_though_nobody_asks() -> None:
    clock = Clock()
    sessions = UnlockSessions(clock)
    sessions.begin(ALICE, "lock", b"k" * 32, "token", 60)
    clock.seconds += 59
    sessions.sweep()
    assert ALICE in sessions._accounts
    clock.seconds += 1
    sessions.sweep()
    assert sessions._accounts == {}


def test_a_new_lock_ends_the_sessions_of_the_one_before() -> None:
    sessions = UnlockSessions(Clock())
    sessions.begin(ALICE, "old", b"k" * 32, "token", 60)
    sessions.begin(ALICE, "new", b"n" * 32, "another", 60)
    assert not _found(sessions, Asker("token"), "old")
    assert not _found(sessions, Asker("token"), "new")
    assert _found(sessions, Asker("another"), "new")


def test_an_account_has_so_many_sessions_and_no_more() -> None:
    clock = Clock()
    sessions = UnlockSessions(clock)
    for number in range(MOST_SESSIONS + 5):
        sessions.begin(ALICE, "lock", b"k" * 32, str(number), 60 + number)
    living = [number for number in range(MOST_SESSIONS + 5) if _found(sessions, Asker(str(number)))]
    assert living == list(range(5, MOST_SESSIONS + 5))


def test_who_asks_is_a_threads_own_matter() -> None:
    sessions = UnlockSessions(Clock())
    sessions.begin(ALICE, "lock", b"k" * 32, "token", 60)
    with ThreadPoolExecutor(8) as pool:
        askers = [Asker("token"), Asker("other")] * 100
        assert list(pool.map(lambda asker: _found(sessions, asker), askers)) == [True, False] * 100


def test_a_challenge_dies_of_age_and_of_use() -> None:
    clock = Clock()
    challenges = Challenges(clock)
    first = challenges.issue(ALICE, PasskeyPurpose.SIGN_IN, os.urandom)
    second = challenges.issue(ALICE, PasskeyPurpose.SIGN_IN, os.urandom)
    challenges.take(first, ALICE, PasskeyPurpose.SIGN_IN)
    clock.seconds += LIFETIME_S
    for challenge in (first, second, b"never issued"):
        with pytest.raises(WrongPasskey):
            challenges.take(challenge, ALICE, PasskeyPurpose.SIGN_IN)


def test_a_wrong_use_uses_a_challenge_up() -> None:
    for did, purpose in ((BOB, PasskeyPurpose.SIGN_IN), (ALICE, PasskeyPurpose.EXPORT)):
        challenges = Challenges(Clock())
        challenge = challenges.issue(ALICE, PasskeyPurpose.SIGN_IN, os.urandom)
        for attempt in ((did, purpose), (ALICE, PasskeyPurpose.SIGN_IN)):
            with pytest.raises(WrongPasskey):
                challenges.take(challenge, *attempt)


def test_challenges_are_not_kept_without_end() -> None:
    challenges = Challenges(Clock())
    others = challenges.issue(BOB, PasskeyPurpose.SIGN_IN, os.urandom)
    issued = [challenges.issue(ALICE, PasskeyPurpose.SIGN_IN, os.urandom) for _ in range(MOST_OF_ACCOUNT + 1)]
    with pytest.raises(WrongPasskey):
        challenges.take(issued[0], ALICE, PasskeyPurpose.SIGN_IN)
    challenges.take(issued[1], ALICE, PasskeyPurpose.SIGN_IN)
    challenges.take(others, BOB, PasskeyPurpose.SIGN_IN)


def test_a_key_in_a_file_wraps_data_keys_that_are_locked(tmp_path: Path) -> None:
    path = tmp_path / "operator.key"
    write_key_file(path, {1: os.urandom(32)})
    operator_key = read_key_file(path)
    locked = lock_data_key(os.urandom(32), os.urandom(32), ALICE, 1, os.urandom)
    assert operator_key.unwrap(operator_key.wrap(locked, ALICE, 1, os.urandom), ALICE, 1, 1) == locked


@pytest.mark.parametrize(
    "value",
    [
        Passphrase("canary"),
        RecoveryCode("canary"),
        PasskeyUse({"id": "canary"}, b"canary"),
        UnlockSession("canary", NOW),
        Locked("canary", UnlockSession("canary", NOW)),
        Asker("canary"),
        Argon2Parameters(b"canary"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_show_no_secret(value: object) -> None:
    assert "canary" not in repr(value)
