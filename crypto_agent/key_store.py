"""The rows that hold keys, and the keys in them once unwrapped; nothing here leaves the process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.models import FilteredRelation, Max, Q

from crypto_agent.atsms.certificates import parse_certificate
from crypto_agent.custody import AccountKeys, Random, UnwrappedKeys, unwrap_account_keys
from crypto_agent.errors import CannotUnseal, NoSuchAccount
from crypto_agent.lock_key import unlock_data_key
from crypto_agent.models import Account, ArchiveKey, DataKey, DeviceKey
from crypto_agent.operator_keys import rotation
from crypto_agent.operator_keys.sources import source_of
from crypto_agent.prekey_secrets import decrypt_prekey
from crypto_agent.prepared_query import PreparedQuery, PreparedStatement, time_in_row
from crypto_agent.purposes import Context, Purpose
from crypto_agent.signing_keys import Ready, Signer, SigningKeys
from crypto_agent.unlock_sessions import sessions
from crypto_agent.write_turns import writing

operator_key_source = source_of(settings.OPERATOR_KEY)
#: Of managed accounts; those of locked ones stay with their unlock sessions.
unwrapped_keys = UnwrappedKeys()
#: Of managed accounts too.
signing_keys = SigningKeys()

KEY_BYTES = 32


_DATA_KEYS = PreparedQuery(
    lambda did: DataKey.objects.filter(account__did=did),
    ("account_id", "version", "wrapped", "key_version", "lock_id"),
)
_WITH_DEVICE = DataKey.objects.annotate(
    active=FilteredRelation("account__devices", condition=Q(account__devices__state=DeviceKey.State.ACTIVE))
)
_WITH_DEVICE_COLUMNS = (
    *("account_id", "version", "wrapped", "key_version", "lock_id"),
    *("active__fingerprint", "active__certificate", "active__wrapped", "active__key_version"),
)
_DATA_KEYS_AND_DEVICE = PreparedQuery(lambda did: _WITH_DEVICE.filter(account__did=did), _WITH_DEVICE_COLUMNS)
#: The same of an account whose row is known, which takes a database half as long.
_DATA_KEYS_AND_DEVICE_OF = PreparedStatement(
    "SELECT k.account_id, k.version, k.wrapped, k.key_version, k.lock_id,"  # noqa: S608 (names)
    " d.fingerprint, d.certificate, d.wrapped, d.key_version"
    f" FROM {DataKey._meta.db_table} k LEFT JOIN {DeviceKey._meta.db_table} d"
    f" ON d.account_id = k.account_id AND d.state = '{DeviceKey.State.ACTIVE}' WHERE k.account_id = %s"
)


_OPENING_DEVICES = PreparedQuery(
    lambda did: DeviceKey.objects.filter(
        account__did=did, state__in=[DeviceKey.State.ACTIVE, DeviceKey.State.RETIRED]
    ),
    (
        *("fingerprint", "certificate", "former_certificate", "wrapped", "key_version"),
        *("prekeys__generation", "prekeys__wrapped_secret", "prekeys__key_version", "prekeys__destroy_after"),
    ),
)


def account_keys(did: str) -> tuple[Account, AccountKeys]:
    """The account of ``did`` with its data keys unwrapped, if whoever asks may have a locked account's.

    Raises NoSuchAccount, Sealed, AccountLocked.
    """
    epoch = unwrapped_keys.epoch
    rows = _DATA_KEYS.rows(did)
    keys = _unwrap_rows(did, rows, epoch)
    return Account.from_db(DEFAULT_DB_ALIAS, ("id", "did"), (rows[0][0], did)), keys


def account_keys_and_signer(did: str) -> tuple[AccountKeys, Signer | None]:
    """The account's data keys as from ``account_keys``, and what it signs with; by one query where it
    signed before, else by two at most."""
    epoch, signing_epoch = unwrapped_keys.epoch, signing_keys.epoch
    ready = signing_keys.find(did, _DATA_KEYS_AND_DEVICE_OF.rows)
    if ready is not None:
        rotation.key_with(operator_key_source, ready.operator_versions)
        return AccountKeys(did, ready.ciphers, read_again=partial(_ciphers_now, did)), ready.signer
    rows = _DATA_KEYS_AND_DEVICE.rows(did)
    keys = _unwrap_rows(did, rows, epoch)
    *_, lock_id, fingerprint, certificate, wrapped, key_version = rows[0]
    signer = None
    if wrapped is not None:
        key = _device_key(keys, fingerprint, bytes(wrapped), key_version)
        signer = Signer(parse_certificate(bytes(certificate)), key)
    if not lock_id:
        operator_versions = frozenset(row[3] for row in rows)
        signing_keys.keep(did, rows, Ready(keys.ciphers, operator_versions, signer), signing_epoch)
    return keys, signer


@dataclass(frozen=True, repr=False)
class OpeningDevice:
    """An unrevoked device: its private key, DER of its certificates, secrets of its prekeys, newest first."""

    key: ec.EllipticCurvePrivateKey
    #: The certificate that it has, and the one that it had before it was renewed.
    certificates: tuple[bytes, ...]
    prekey_secrets: tuple[X25519PrivateKey, ...]


def opening_devices(keys: AccountKeys, now: datetime) -> list[OpeningDevice]:
    """The devices of the account that may still open mail, with the prekeys that may at ``now``."""
    devices: dict[str, list[tuple[Any, ...]]] = {}
    for row in _OPENING_DEVICES.rows(keys.did):
        devices.setdefault(row[0], []).append(row)
    return [_opening_device(keys, rows, now) for rows in devices.values()]


def _opening_device(keys: AccountKeys, rows: Sequence[tuple[Any, ...]], now: datetime) -> OpeningDevice:
    fingerprint, certificate, former, wrapped, key_version, *_ = rows[0]
    prekeys = sorted((row[5:] for row in rows if row[5] is not None), key=lambda row: -row[0])
    return OpeningDevice(
        _device_key(keys, fingerprint, bytes(wrapped), key_version),
        tuple(bytes(der) for der in (certificate, former) if der is not None),
        tuple(
            X25519PrivateKey.from_private_bytes(
                decrypt_prekey(keys, Purpose.PREKEY_SECRET, fingerprint, generation, bytes(secret), version)
            )
            for generation, secret, version, destroy_after in prekeys
            if time_in_row(destroy_after) > now
        ),
    )


def held_account_keys(did: str) -> tuple[Account, AccountKeys]:
    """The same for who writes what they encrypt: none is replaced before the transaction ends."""
    if not Account.objects.select_for_update().filter(did=did):
        raise NoSuchAccount("this account has no keys here")
    return account_keys(did)


def forget(did: str) -> None:
    """Drops the account's keys from memory and ends its unlock sessions; done once a change is committed."""
    unwrapped_keys.forget(did)
    signing_keys.drop(did)
    sessions.end_all(did)


def forget_data_keys(did: str) -> None:
    """The same of its data keys alone: unlock sessions go on, and unwrap again what they need."""
    unwrapped_keys.forget(did)
    signing_keys.drop(did)
    sessions.forget_data_keys(did)


def new_account(
    did: str, now: datetime, random: Random, *, with_archive_key: bool = True
) -> tuple[Account, AccountKeys]:
    """The account of ``did``, held until the transaction ends, and made with its keys if it is new."""
    Account.objects.get_or_create(did=did, defaults={"created_at": now})
    account = Account.objects.select_for_update().get(did=did)
    if not account.data_keys.exists():
        operator_key = rotation.key_for_new_writes(operator_key_source)
        DataKey.objects.create(
            account=account,
            version=1,
            wrapped=operator_key.wrap(random(KEY_BYTES), did, 1, random),
            key_version=operator_key.current_version,
            created_at=now,
        )
    _, keys = account_keys(did)
    if with_archive_key and _live_archive_key(account) is None:
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
    return _device_key(keys, device.fingerprint, bytes(device.wrapped), device.key_version)


def _device_key(
    keys: AccountKeys, fingerprint: str, wrapped: bytes, key_version: int
) -> ec.EllipticCurvePrivateKey:
    encoded = keys.decrypt(Context(Purpose.DEVICE_KEY, keys.did, device=fingerprint), wrapped, key_version)
    # The ciphertext is authenticated, so the key needs no second check of its point.
    key = serialization.load_der_private_key(encoded, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CannotUnseal("it can't be unsealed here")
    return key


def archive_key(did: str, now: datetime, random: Random) -> tuple[AccountKeys, ArchiveKey]:
    """What the account's messages are sealed to from now on, made where the one before was ended.

    Raises NoSuchAccount, Sealed, AccountLocked.
    """
    account, keys = account_keys(did)
    live = _live_archive_key(account)
    if live is None:
        with writing():
            account, keys = held_account_keys(did)
            live = _live_archive_key(account) or _new_archive_key(account, keys, now, random)
    return keys, live


def end_archive_keys(account: Account, now: datetime) -> None:
    """From now on they open what is archived, and nothing more is sealed to them; needs no key.

    The caller holds the account until its transaction ends.
    """
    account.archive_keys.filter(ended_at=None).update(ended_at=now)


def archive_secret(keys: AccountKeys, archive_key: ArchiveKey) -> bytes:
    """The raw X25519 secret of an archive key."""
    context = Context(Purpose.ARCHIVE_KEY, keys.did, device=str(archive_key.generation))
    return keys.decrypt(context, bytes(archive_key.wrapped), archive_key.key_version)


def _unwrap_rows(did: str, rows: Sequence[tuple[Any, ...]], epoch: int) -> AccountKeys:
    """From rows that begin with account, version, wrapped key, operator's version, and lock."""
    return AccountKeys(did, _ciphers(did, rows, epoch), read_again=partial(_ciphers_now, did))


def _ciphers_now(did: str) -> Mapping[int, AESGCM]:
    epoch = unwrapped_keys.epoch
    return _ciphers(did, _DATA_KEYS.rows(did), epoch)


def _ciphers(did: str, rows: Sequence[tuple[Any, ...]], epoch: int) -> Mapping[int, AESGCM]:
    """The data keys of such rows by version."""
    if not rows:
        raise NoSuchAccount("this account has no keys here")
    wrapped = [(version, bytes(wrapped), key_version) for _, version, wrapped, key_version, *_ in rows]
    lock_id = rows[0][4]
    operator_key = rotation.key_with(operator_key_source, {key_version for _, _, key_version in wrapped})
    if not lock_id:
        return unwrap_account_keys(did, wrapped, operator_key, unwrapped_keys, epoch).ciphers
    unlocked = sessions.find(did, lock_id)
    ciphers = {}
    for version, outer, key_version in wrapped:
        cipher = unlocked.ciphers.get((version, outer))
        if cipher is None:
            inner = operator_key.unwrap(outer, did, version, key_version)
            cipher = AESGCM(unlock_data_key(unlocked.lock_key, inner, did, version))
            unlocked.ciphers[version, outer] = cipher
        ciphers[version] = cipher
    return ciphers


def _live_archive_key(account: Account) -> ArchiveKey | None:
    return account.archive_keys.filter(ended_at=None).order_by("-generation").first()


def _new_archive_key(account: Account, keys: AccountKeys, now: datetime, random: Random) -> ArchiveKey:
    key = X25519PrivateKey.generate()
    newest = account.archive_keys.aggregate(newest=Max("generation"))["newest"]
    generation = (newest or 0) + 1
    context = Context(Purpose.ARCHIVE_KEY, account.did, device=str(generation))
    return ArchiveKey.objects.create(
        account=account,
        generation=generation,
        public_key=key.public_key().public_bytes_raw(),
        wrapped=keys.encrypt(context, key.private_bytes_raw(), random),
        key_version=keys.current_version,
        created_at=now,
    )
