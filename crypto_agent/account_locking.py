"""From managed to locked and back, and the secrets of a locked account: each in the caller's transaction.

``opened`` is the lock as one of the user's secrets opened it a moment before; an unlock session is not
enough for any of this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from crypto_agent import devices, guesses, key_store, lock_secrets, step_up, write_ahead_log
from crypto_agent.custody import KEY_BYTES, Random
from crypto_agent.custody_values import Locked, UnlockSession
from crypto_agent.data_key_rotation import Lock, add_version
from crypto_agent.errors import (
    AlreadyLocked,
    LastWayIn,
    NoSuchAccount,
    NoSuchSecret,
    WrongSecret,
)
from crypto_agent.key_store import held_account_keys, operator_key_source
from crypto_agent.lock_key import lock_data_key, unlock_data_key
from crypto_agent.lock_secrets import NewSecret, OpenedLock
from crypto_agent.models import Account, AccountCustody, LockSecret
from crypto_agent.operator_keys import rotation
from crypto_agent.passkey_challenges import PasskeyPurpose
from crypto_agent.passkeys import custody_of
from crypto_agent.unlock_sessions import new_token, sessions

LOCK_ID_BYTES = 8


@dataclass(frozen=True)
class Change:
    """A change of custody that somebody asks for: whose, when, and what their passkey confirmed."""

    did: str
    now: datetime
    random: Random = field(repr=False)
    assertion: Mapping[str, Any] | None = field(default=None, repr=False)


def make_locked(change: Change, new: NewSecret, lifetime: timedelta) -> Locked:
    """Locks a managed account behind a first secret and a recovery code, and unlocks it for the caller.

    Raises NoSuchAccount, AlreadyLocked, StepUpRequired, WrongPasskey.
    """
    did, now, random = change.did, change.now, change.random
    account = _held(did)
    custody = custody_of(account, random)
    if custody.lock_id:
        raise AlreadyLocked("the account is locked already")
    _check_step_up(change, by_passkey=new.passkey is not None)
    _, keys = held_account_keys(did)
    lock = Lock(random(LOCK_ID_BYTES).hex(), random(KEY_BYTES))
    operator_key = rotation.key_for_new_writes(operator_key_source)
    for row in account.data_keys.select_for_update():
        data_key = rotation.key_with(operator_key_source, {row.key_version}).unwrap(
            bytes(row.wrapped), did, row.version, row.key_version
        )
        inner = lock_data_key(lock.lock_key, data_key, did, row.version, random)
        row.wrapped = operator_key.wrap(inner, did, row.version, random)
        row.key_version = operator_key.current_version
        row.lock_id = lock.lock_id
        row.save()
    # What was stored before could be opened by the operator's key and a copy of the database from then.
    add_version(account, keys, lock, now, random)
    key_store.end_archive_keys(account, now)
    devices.keep_current_prekeys(account)
    lock_secrets.put_before(account, lock.lock_key, new, now, random)
    code = lock_secrets.new_recovery_code(account, lock.lock_key, now, random)
    custody.lock_id, custody.locked_at = lock.lock_id, now
    custody.guesses, custody.wait_until = 0, None
    custody.save()
    transaction.on_commit(partial(key_store.forget, did))
    # What the operator's key alone opened lies there still.
    transaction.on_commit(write_ahead_log.empty)
    return Locked(code, _begin_session(did, lock, lifetime, now, random))


def make_managed(change: Change, opened: OpenedLock) -> None:
    """The operator's key alone guards the account again; raises StepUpRequired, WrongPasskey."""
    account, custody = _opened_account(change, opened)
    did = change.did
    operator_key = rotation.key_for_new_writes(operator_key_source)
    for row in account.data_keys.select_for_update():
        inner = rotation.key_with(operator_key_source, {row.key_version}).unwrap(
            bytes(row.wrapped), did, row.version, row.key_version
        )
        data_key = unlock_data_key(opened.lock_key, inner, did, row.version)
        row.wrapped = operator_key.wrap(data_key, did, row.version, change.random)
        row.key_version, row.lock_id = operator_key.current_version, ""
        row.save()
    secrets = account.lock_secrets.all()
    if custody.passkey_required:
        # It is still what a lost passkey is survived by.
        secrets = secrets.exclude(kind=LockSecret.Kind.RECOVERY)
    secrets.delete()
    custody.lock_id, custody.locked_at = "", None
    custody.save()
    devices.end_current_prekeys(account, change.now)
    transaction.on_commit(partial(key_store.forget, did))


def unlock(did: str, opened: OpenedLock, lifetime: timedelta, now: datetime, random: Random) -> UnlockSession:
    """An unlock session for the caller; raises WrongSecret if the lock was changed meanwhile."""
    _custody_opened(_held(did), opened, random)
    return _begin_session(did, Lock(opened.lock_id, opened.lock_key), lifetime, now, random)


def add_secret(change: Change, opened: OpenedLock, new: NewSecret) -> LockSecret:
    """Puts one more secret before the lock; raises AlreadyLocked where there is a passphrase already."""
    account, _ = _opened_account(change, opened, by_passkey=new.passkey is not None)
    if new.kind == LockSecret.Kind.PASSPHRASE and account.lock_secrets.filter(kind=new.kind).exists():
        raise AlreadyLocked("there is a passphrase already: change it")
    return lock_secrets.put_before(account, opened.lock_key, new, change.now, change.random)


def change_passphrase(change: Change, opened: OpenedLock, new: NewSecret) -> None:
    """Puts another passphrase before the lock, or a first one, and ends all sessions but the caller's."""
    account, _ = _opened_account(change, opened)
    lock_secrets.put_before(account, opened.lock_key, new, change.now, change.random)
    guesses.forgive(change.did)
    transaction.on_commit(partial(sessions.end_others, change.did))


def remove_secret(change: Change, opened: OpenedLock, secret_id: str) -> None:
    """Takes a secret from the lock and ends all sessions but the caller's; raises NoSuchSecret, LastWayIn."""
    account, _ = _opened_account(change, opened)
    secrets = account.lock_secrets.exclude(kind=LockSecret.Kind.RECOVERY)
    secret = secrets.filter(secret_id=secret_id).first()
    if secret is None:
        raise NoSuchSecret("the account's lock has no such secret")
    if secrets.count() == 1:
        raise LastWayIn("nothing but the recovery code would open the account")
    secret.delete()
    transaction.on_commit(partial(sessions.end_others, change.did))


def new_recovery_code(change: Change, opened: OpenedLock) -> str:
    """A new recovery code, as it is shown this once; the one before opens nothing more."""
    account, _ = _opened_account(change, opened)
    return lock_secrets.new_recovery_code(account, opened.lock_key, change.now, change.random)


def _held(did: str) -> Account:
    account = Account.objects.select_for_update().filter(did=did).first()
    if account is None:
        raise NoSuchAccount("this account has no keys here")
    return account


def _opened_account(
    change: Change, opened: OpenedLock, *, by_passkey: bool = False
) -> tuple[Account, AccountCustody]:
    account = _held(change.did)
    custody = _custody_opened(account, opened, change.random)
    _check_step_up(change, by_passkey=opened.by_passkey or by_passkey)
    return account, custody


def _custody_opened(account: Account, opened: OpenedLock, random: Random) -> AccountCustody:
    custody = custody_of(account, random)
    # A secret that was replaced while it was being tried opens nothing that the replacing has closed.
    present = account.lock_secrets.filter(secret_id=opened.secret_id).exists()
    if custody.lock_id != opened.lock_id or not present:
        raise WrongSecret("the account's lock was changed meanwhile")
    return custody


def _check_step_up(change: Change, *, by_passkey: bool) -> None:
    """A passkey that opened the lock confirmed the change with it."""
    if not by_passkey:
        step_up.check(change.did, PasskeyPurpose.CHANGE_CUSTODY, change.assertion, change.now)


def _begin_session(did: str, lock: Lock, lifetime: timedelta, now: datetime, random: Random) -> UnlockSession:
    token = new_token(random)
    # Only once the call is on record.
    transaction.on_commit(
        partial(sessions.begin, did, lock.lock_id, lock.lock_key, token, lifetime.total_seconds())
    )
    return UnlockSession(token, now + lifetime)
