"""The user's secrets: what each opens an account's lock with, and how a new one is put before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crypto_agent import guesses, passkeys, recovery_codes
from crypto_agent.custody import KEY_BYTES, Random
from crypto_agent.custody_values import PasskeyUse, Passphrase, RecoveryCode, Secret
from crypto_agent.errors import (
    AccountNotLocked,
    NoSuchAccount,
    PasskeyCannotLock,
    WrongSecret,
)
from crypto_agent.lock_key import (
    SALT_BYTES,
    Argon2Parameters,
    check_new_passphrase,
    key_of_passkey,
    key_of_passphrase,
    key_of_recovery_code,
    unwrap_lock_key,
    wrap_lock_key,
)
from crypto_agent.models import Account, AccountCustody, LockSecret, Passkey
from crypto_agent.passkey_challenges import PasskeyPurpose
from crypto_agent.passphrase_turns import turn

ID_BYTES = 8


@dataclass(frozen=True, repr=False)
class OpenedLock:
    """A lock that one of the user's secrets opened just now, and which of them."""

    lock_id: str
    lock_key: bytes
    secret_id: str
    by_passkey: bool


@dataclass(frozen=True, repr=False)
class NewSecret:
    """A secret that is to be put before a lock, and the key that it wraps the lock key with."""

    kind: LockSecret.Kind
    key: bytes
    parameters: Argon2Parameters | None = None
    passkey: Passkey | None = None


def open_lock(did: str, secret: Secret, purpose: PasskeyPurpose, now: datetime) -> OpenedLock:
    """What ``secret`` opens; a passkey has to have confirmed ``purpose``.

    Runs outside of transactions, since a guess has to stay counted. Raises AccountNotLocked, WrongSecret,
    TooManyGuesses, MistypedRecoveryCode, WrongPasskey, AgentBusy.
    """
    if not Account.objects.filter(did=did).exists():
        raise NoSuchAccount("this account has no keys here")
    lock_id = AccountCustody.objects.filter(account__did=did).values_list("lock_id", flat=True).first()
    if not lock_id:
        raise AccountNotLocked("the account is not locked")
    match secret:
        case Passphrase(text):
            return OpenedLock(lock_id, *_opened_by_passphrase(did, text, now), by_passkey=False)
        case RecoveryCode(text):
            return OpenedLock(lock_id, *opened_by_recovery_code(did, text), by_passkey=False)
        case PasskeyUse(credential, prf):
            return OpenedLock(
                lock_id, *_opened_by_passkey(did, credential, prf, purpose, now), by_passkey=True
            )


def opened_by_recovery_code(did: str, typed: str) -> tuple[bytes, str]:
    """The lock key behind the recovery code, and the secret's id.

    Of a managed account the key locks nothing. Not limited: nobody guesses 160 bits. Raises
    MistypedRecoveryCode, WrongSecret.
    """
    code = recovery_codes.read(typed)
    row = _row(did, LockSecret.Kind.RECOVERY)
    key = key_of_recovery_code(code, did)
    return unwrap_lock_key(key, bytes(row.wrapped), did, row.secret_id), row.secret_id


def prepare(
    did: str, secret: Passphrase | PasskeyUse, purpose: PasskeyPurpose, now: datetime, random: Random
) -> NewSecret:
    """Makes a new secret ready, outside of transactions, since deriving takes its time.

    Raises WeakPassphrase, AgentBusy, WrongPasskey, PasskeyCannotLock.
    """
    match secret:
        case Passphrase(text):
            check_new_passphrase(text)
            parameters = Argon2Parameters(random(SALT_BYTES))
            with turn(did):
                key = key_of_passphrase(text, parameters)
            return NewSecret(LockSecret.Kind.PASSPHRASE, key, parameters=parameters)
        case PasskeyUse(credential, prf):
            passkey = passkeys.verify(did, purpose, credential, now)
            if prf is None or not passkey.prf:
                raise PasskeyCannotLock("this passkey gives no secret to lock with")
            key = key_of_passkey(prf, did, bytes(passkey.credential_id))
            return NewSecret(LockSecret.Kind.PASSKEY, key, passkey=passkey)


def put_before(
    account: Account, lock_key: bytes, new: NewSecret, now: datetime, random: Random
) -> LockSecret:
    """Wraps the lock key by a secret too; replaces the same one, or the passphrase or code before."""
    account.lock_secrets.filter(kind=new.kind, passkey=new.passkey).delete()
    secret_id = random(ID_BYTES).hex()
    parameters = new.parameters
    return LockSecret.objects.create(
        account=account,
        secret_id=secret_id,
        kind=new.kind,
        passkey=new.passkey,
        salt=parameters.salt if parameters else None,
        memory_kib=parameters.memory_kib if parameters else None,
        iterations=parameters.iterations if parameters else None,
        lanes=parameters.lanes if parameters else None,
        wrapped=wrap_lock_key(new.key, lock_key, account.did, secret_id, random),
        created_at=now,
    )


def new_recovery_code(account: Account, lock_key: bytes, now: datetime, random: Random) -> str:
    """Puts a new recovery code before the lock in place of the old one; as it is shown, this once."""
    code = recovery_codes.new_code(random)
    new = NewSecret(LockSecret.Kind.RECOVERY, key_of_recovery_code(code, account.did))
    put_before(account, lock_key, new, now, random)
    return recovery_codes.written(code)


def recovery_code_without_lock(account: Account, now: datetime, random: Random) -> str:
    """The same for a managed account, where the code stands for nothing but a lost passkey."""
    return new_recovery_code(account, random(KEY_BYTES), now, random)


def _row(did: str, kind: LockSecret.Kind) -> LockSecret:
    row = LockSecret.objects.filter(account__did=did, kind=kind).first()
    if row is None:
        raise WrongSecret("this does not open the account's lock")
    return row


def _opened_by_passphrase(did: str, text: str, now: datetime) -> tuple[bytes, str]:
    row = _row(did, LockSecret.Kind.PASSPHRASE)
    assert row.salt is not None
    assert row.memory_kib is not None
    assert row.iterations is not None
    assert row.lanes is not None
    parameters = Argon2Parameters(bytes(row.salt), row.memory_kib, row.iterations, row.lanes)
    with turn(did):
        guesses.count(did, now)
        key = key_of_passphrase(text, parameters)
    lock_key = unwrap_lock_key(key, bytes(row.wrapped), did, row.secret_id)
    guesses.forgive(did)
    return lock_key, row.secret_id


def _opened_by_passkey(
    did: str, credential: Mapping[str, Any], prf: bytes | None, purpose: PasskeyPurpose, now: datetime
) -> tuple[bytes, str]:
    passkey = passkeys.verify(did, purpose, credential, now)
    row = LockSecret.objects.filter(passkey=passkey).first()
    if row is None or prf is None:
        raise WrongSecret("this does not open the account's lock")
    key = key_of_passkey(prf, did, bytes(passkey.credential_id))
    return unwrap_lock_key(key, bytes(row.wrapped), did, row.secret_id), row.secret_id
