"""The rows that hold keys, and the keys in them once unwrapped; nothing here leaves the process."""

from collections.abc import Sequence
from datetime import datetime

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from crypto_agent.custody import AccountKeys, Random, unwrap_account_keys
from crypto_agent.errors import CannotUnseal, NoSuchAccount
from crypto_agent.models import Account, ArchiveKey, DataKey, DeviceKey, PrekeySecret
from crypto_agent.operator_keys import rotation
from crypto_agent.operator_keys.sources import source_of
from crypto_agent.prepared_query import PreparedQuery
from crypto_agent.purposes import Context, Purpose

operator_key_source = source_of(settings.OPERATOR_KEY)

KEY_BYTES = 32
_RAW = (serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())


_DATA_KEYS = PreparedQuery(
    lambda did: DataKey.objects.filter(account__did=did),
    ("account_id", "version", "wrapped", "key_version"),
)
_DEVICE_COLUMNS = ("id", "fingerprint", "certificate", "wrapped", "key_version")
_ACTIVE_DEVICE = PreparedQuery(
    lambda did: DeviceKey.objects.filter(account__did=did, state=DeviceKey.State.ACTIVE), _DEVICE_COLUMNS
)


def account_keys(did: str) -> tuple[Account, AccountKeys]:
    """The account of ``did`` with its data keys unwrapped; raises NoSuchAccount, Sealed."""
    rows = _DATA_KEYS.rows(did)
    if not rows:
        raise NoSuchAccount("this account has no keys here")
    account = Account.from_db(DEFAULT_DB_ALIAS, ("id", "did"), (rows[0][0], did))
    wrapped = [(version, bytes(wrapped), key_version) for _, version, wrapped, key_version in rows]
    operator_key = rotation.key_with(operator_key_source, {key_version for _, _, key_version in wrapped})
    return account, unwrap_account_keys(did, wrapped, operator_key)


def active_device(did: str) -> DeviceKey | None:
    """The device that an account signs with, its certificate and its encrypted private key."""
    for row in _ACTIVE_DEVICE.rows(did):
        return DeviceKey.from_db(DEFAULT_DB_ALIAS, _DEVICE_COLUMNS, row)
    return None


def new_account(did: str, now: datetime, random: Random) -> tuple[Account, AccountKeys]:
    """The account of ``did``, locked until the transaction ends, and made with its keys if it is new."""
    Account.objects.get_or_create(did=did, defaults={"created_at": now})
    account = Account.objects.select_for_update().get(did=did)
    rows = list(account.data_keys.all())
    if not rows:
        operator_key = rotation.key_for_new_writes(operator_key_source)
        rows = [
            DataKey.objects.create(
                account=account,
                version=1,
                wrapped=operator_key.wrap(random(KEY_BYTES), did, random),
                key_version=operator_key.current_version,
                created_at=now,
            )
        ]
    keys = _unwrap(did, rows)
    if not account.archive_keys.exists():
        _new_archive_key(account, keys, now, random)
    return account, keys


def wrap_device_key(
    keys: AccountKeys, key: ec.EllipticCurvePrivateKey, fingerprint: str, random: Random
) -> bytes:
    encoded = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return keys.encrypt(Context(Purpose.DEVICE_KEY, keys.did, device=fingerprint), encoded, random)


def device_private_key(keys: AccountKeys, device: DeviceKey) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of an active device; raises CannotUnseal if its row was changed or moved."""
    assert device.wrapped is not None
    assert device.key_version is not None
    context = Context(Purpose.DEVICE_KEY, keys.did, device=device.fingerprint)
    encoded = keys.decrypt(context, bytes(device.wrapped), device.key_version)
    # The ciphertext is authenticated, so the key needs no second check of its point.
    key = serialization.load_der_private_key(encoded, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CannotUnseal("it can't be unsealed here")
    return key


def wrap_prekey_secret(keys: AccountKeys, key: X25519PrivateKey, fingerprint: str, random: Random) -> bytes:
    context = Context(Purpose.PREKEY_SECRET, keys.did, device=fingerprint)
    return keys.encrypt(context, key.private_bytes(*_RAW), random)


def prekey_secrets(
    keys: AccountKeys, fingerprint: str, prekeys: Sequence[PrekeySecret], now: datetime
) -> list[X25519PrivateKey]:
    """The secrets of a device's prekeys that may still open mail at ``now``, newest first."""
    context = Context(Purpose.PREKEY_SECRET, keys.did, device=fingerprint)
    return [
        X25519PrivateKey.from_private_bytes(
            keys.decrypt(context, bytes(prekey.wrapped_secret), prekey.key_version)
        )
        for prekey in sorted(prekeys, key=lambda prekey: -prekey.generation)
        if prekey.destroy_after > now
    ]


def archive_secret(keys: AccountKeys, archive_key: ArchiveKey) -> bytes:
    """The raw X25519 secret of an archive key."""
    context = Context(Purpose.ARCHIVE_KEY, keys.did, device=str(archive_key.generation))
    return keys.decrypt(context, bytes(archive_key.wrapped), archive_key.key_version)


def _unwrap(did: str, rows: Sequence[DataKey]) -> AccountKeys:
    wrapped = [(row.version, bytes(row.wrapped), row.key_version) for row in rows]
    operator_key = rotation.key_with(operator_key_source, {row.key_version for row in rows})
    return unwrap_account_keys(did, wrapped, operator_key)


def _new_archive_key(account: Account, keys: AccountKeys, now: datetime, random: Random) -> None:
    key = X25519PrivateKey.generate()
    generation = 1
    context = Context(Purpose.ARCHIVE_KEY, account.did, device=str(generation))
    ArchiveKey.objects.create(
        account=account,
        generation=generation,
        public_key=key.public_key().public_bytes_raw(),
        wrapped=keys.encrypt(context, key.private_bytes(*_RAW), random),
        key_version=keys.current_version,
        created_at=now,
    )
