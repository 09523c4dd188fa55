"""A new version of an account's data key: what is written from now on, and its private keys, are under it.

Older versions stay, since content outside the agent is still encrypted under them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import models

from crypto_agent.custody import KEY_BYTES, AccountKeys, Random
from crypto_agent.key_store import end_archive_keys, held_account_keys, operator_key_source
from crypto_agent.lock_key import lock_data_key
from crypto_agent.models import (
    Account,
    AccountCustody,
    ArchiveKey,
    AttestationKey,
    DataKey,
    DeviceKey,
    PrekeySecret,
)
from crypto_agent.operator_keys import rotation
from crypto_agent.prekey_secrets import decrypt_in_either, prekey_contexts
from crypto_agent.purposes import Context, Purpose
from crypto_agent.unlock_sessions import sessions


@dataclass(frozen=True)
class Lock:
    """The lock key of a locked account, and its name."""

    lock_id: str
    lock_key: bytes

    def __repr__(self) -> str:
        return f"Lock({self.lock_id!r})"


@dataclass(frozen=True)
class _Encrypted:
    """A field of a row with what it is encrypted for."""

    row: models.Model
    field: str
    context: Context
    #: What it may be encrypted for still, from before its context named more.
    former: Context | None = None


def rotate_data_key(did: str, now: datetime, random: Random) -> int:
    """A new version for the account, in the caller's transaction; its number. Ends the archive key, too.

    Of a locked account only while it is unlocked. Raises NoSuchAccount, AccountLocked.
    """
    account, keys = held_account_keys(did)
    custody = AccountCustody.objects.filter(account=account).first()
    lock = None
    if custody is not None and custody.lock_id:
        lock = Lock(custody.lock_id, sessions.find(did, custody.lock_id).lock_key)
    keys = add_version(account, keys, lock, now, random)
    end_archive_keys(account, now)
    return keys.current_version


def add_version(
    account: Account, keys: AccountKeys, lock: Lock | None, now: datetime, random: Random
) -> AccountKeys:
    """Makes the next version, wrapped by the lock if there is one, and encrypts all private keys under it.

    Runs in the caller's transaction, which holds the account.
    """
    data_key = random(KEY_BYTES)
    keys = keys.followed_by(AESGCM(data_key))
    version = keys.current_version
    operator_key = rotation.key_for_new_writes(operator_key_source)
    opaque = lock_data_key(lock.lock_key, data_key, account.did, version, random) if lock else data_key
    DataKey.objects.create(
        account=account,
        version=version,
        wrapped=operator_key.wrap(opaque, account.did, version, random),
        key_version=operator_key.current_version,
        lock_id=lock.lock_id if lock else "",
        created_at=now,
    )
    encrypt_again(account, keys, random)
    return keys


def encrypt_again(account: Account, keys: AccountKeys, random: Random) -> None:
    """Encrypts every private key of the account under the newest version of its data key."""
    rows: dict[models.Model, int] = {}
    for encrypted in _private_keys(account):
        row = encrypted.row
        key_version = rows.setdefault(row, row.key_version)  # type: ignore[attr-defined]
        plaintext = decrypt_in_either(
            keys, (encrypted.context, encrypted.former), bytes(getattr(row, encrypted.field)), key_version
        )
        setattr(row, encrypted.field, keys.encrypt(encrypted.context, plaintext, random))
    for row in rows:
        row.key_version = keys.current_version  # type: ignore[attr-defined]
        row.save()


def _private_keys(account: Account) -> Iterator[_Encrypted]:
    did = account.did
    for device in DeviceKey.objects.select_for_update().filter(account=account, wrapped__isnull=False):
        yield _Encrypted(device, "wrapped", Context(Purpose.DEVICE_KEY, did, device=device.fingerprint))
        for prekey in PrekeySecret.objects.select_for_update().filter(device=device):
            for field, purpose in (
                ("wrapped_secret", Purpose.PREKEY_SECRET),
                ("wrapped_signing_key", Purpose.PREKEY_SIGNING_KEY),
            ):
                context, former = prekey_contexts(purpose, did, device.fingerprint, prekey.generation)
                yield _Encrypted(prekey, field, context, former)
    for archive_key in ArchiveKey.objects.select_for_update().filter(account=account):
        context = Context(Purpose.ARCHIVE_KEY, did, device=str(archive_key.generation))
        yield _Encrypted(archive_key, "wrapped", context)
    for attestation_key in AttestationKey.objects.select_for_update().filter(account=account):
        context = Context(Purpose.ATTESTATION_KEY, did, device=attestation_key.did_key)
        yield _Encrypted(attestation_key, "wrapped", context)
