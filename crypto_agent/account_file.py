"""An account's keys as they leave the agent, encrypted under a passphrase of the user's.

docs/account-export.md describes every byte. Pure functions. The parts beside the keys (what only the web's
database knows, messages that were never signed) are encrypted under the export key, which is among the keys.
"""

import hmac
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from crypto_agent.atsms import cbor
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.custody import KEY_BYTES, NONCE_BYTES, Random
from crypto_agent.errors import (
    BadExport,
    ExportOfAnother,
    UnsupportedExport,
    WeakPassphrase,
    WrongExportPassphrase,
)

VERSION = 1
KEYS_KIND = "waxwing-account-keys"
PART_KIND = "waxwing-account-part"

#: RFC 9106's choice for machines without gigabytes to spare: 64 MiB, three passes, four lanes.
MEMORY_KIB, ITERATIONS, LANES = 64 * 1024, 3, 4
#: A file that asks for more is not one of ours.
MOST_MEMORY_KIB, MOST_ITERATIONS, MOST_LANES = 64 * 1024, 8, 8
SALT_BYTES = 16
#: The other half of what Argon2id gives tells a wrong passphrase from a damaged file.
CHECK_BYTES = 32
SHORTEST_PASSPHRASE = 12
LONGEST_PASSPHRASE = 1024
#: The largest file of keys, and the largest part.
MOST_KEYS_BYTES = 1 << 20
MOST_PART_BYTES = 1 << 20
_MOST_DEVICES = 1000
_MOST_PREKEYS = 16
#: There is another one after each time that an account is locked or a device revoked.
_MOST_ARCHIVE_KEYS = 4000
#: One of each curve.
_MOST_ATTESTATION_KEYS = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, repr=False)
class PrekeySecrets:
    """One generation of a prekey: two raw 32-byte secrets, and the signature over what is public of them."""

    generation: int
    secret: bytes
    signing_key: bytes
    bundle_sig: bytes
    created_at: datetime
    expires_at: datetime
    destroy_after: datetime


@dataclass(frozen=True, repr=False)
class DeviceSecrets:
    """A device: DER of its certificate and the one before, PKCS #8 DER of its key unless it was revoked."""

    certificate: bytes
    former_certificate: bytes | None
    created_at: datetime
    revoked_at: datetime | None
    private_key: bytes | None
    prekeys: Sequence[PrekeySecrets]


@dataclass(frozen=True, repr=False)
class ArchiveSecret:
    """One generation of the archive key, a raw X25519 secret of 32 bytes."""

    generation: int
    secret: bytes
    created_at: datetime


@dataclass(frozen=True, repr=False)
class AttestationSecret:
    """PKCS #8 DER of a key that attests, of P-256 or K-256."""

    private_key: bytes
    created_at: datetime


@dataclass(frozen=True, repr=False)
class AccountSecrets:
    """All private keys of an account, and the key that the other parts of its export are encrypted under."""

    export_key: bytes
    devices: Sequence[DeviceSecrets]
    archive_keys: Sequence[ArchiveSecret]
    attestation_keys: Sequence[AttestationSecret]


def seal_keys(
    did: str, secrets: AccountSecrets, passphrase: str, created_at: datetime, random: Random
) -> bytes:
    """``keys.cbor``: raises WeakPassphrase below 12 characters or above 1024 bytes."""
    encoded = passphrase_bytes(passphrase)
    if len(passphrase) < SHORTEST_PASSPHRASE or len(encoded) > LONGEST_PASSPHRASE:
        raise WeakPassphrase(f"a passphrase has at least {SHORTEST_PASSPHRASE} characters")
    salt = random(SALT_BYTES)
    key, check = _derived(encoded, salt, MEMORY_KIB, ITERATIONS, LANES)
    head: list[cbor.CborValue] = [
        KEYS_KIND,
        VERSION,
        did,
        _milliseconds(created_at),
        MEMORY_KIB,
        ITERATIONS,
        LANES,
        salt,
        check,
    ]
    nonce = random(NONCE_BYTES)
    ciphertext = AESGCM(key).encrypt(nonce, cbor.encode(_secrets_cbor(secrets)), cbor.encode(head))
    return cbor.encode([head, nonce, ciphertext])


def open_keys(did: str, data: bytes, passphrase: str) -> AccountSecrets:
    """What ``seal_keys`` was given.

    Raises BadExport for anything that is no such file or was changed, UnsupportedExport for another version
    of the format, ExportOfAnother, WrongExportPassphrase.
    """
    match _decoded(data, MOST_KEYS_BYTES):
        case [list(head), bytes(nonce), bytes(ciphertext)]:
            pass
        case _:
            raise BadExport("not the keys of an account")
    match head:
        case [str(kind), int(version), *_] if kind == KEYS_KIND and version != VERSION:
            raise UnsupportedExport(f"version {version} of the format is not read here")
        case [
            "waxwing-account-keys",
            1,
            str(owner),
            int(),
            int(memory_kib),
            int(iterations),
            int(lanes),
            bytes(salt),
            bytes(check),
        ]:
            pass
        case _:
            raise BadExport("not the keys of an account")
    if owner != did:
        raise ExportOfAnother("these are another account's keys")
    if not (8 * lanes <= memory_kib <= MOST_MEMORY_KIB and 1 <= iterations <= MOST_ITERATIONS):
        raise BadExport("it asks for more work than is done here")
    if not (1 <= lanes <= MOST_LANES and len(salt) == SALT_BYTES and len(nonce) == NONCE_BYTES):
        raise BadExport("not the keys of an account")
    key, derived_check = _derived(passphrase_bytes(passphrase), salt, memory_kib, iterations, lanes)
    if not hmac.compare_digest(check, derived_check):
        raise WrongExportPassphrase("the passphrase does not open it")
    try:
        plaintext = AESGCM(key).decrypt(nonce, ciphertext, cbor.encode(head))
    except InvalidTag:
        raise BadExport("the file was changed") from None
    return _secrets(_decoded(plaintext, MOST_KEYS_BYTES))


def seal_part(export_key: bytes, did: str, kind: str, name: str, plaintext: bytes, random: Random) -> bytes:
    """A part of the export that opens only as ``kind`` and ``name`` of this account's export."""
    nonce = random(NONCE_BYTES)
    ciphertext = AESGCM(export_key).encrypt(nonce, plaintext, _part_head(did, kind, name))
    return cbor.encode([PART_KIND, VERSION, nonce, ciphertext])


def open_part(export_key: bytes, did: str, kind: str, name: str, data: bytes) -> bytes:
    """What ``seal_part`` was given; raises BadExport for anything else."""
    match _decoded(data, MOST_PART_BYTES + 1024):
        case ["waxwing-account-part", 1, bytes(nonce), bytes(ciphertext)] if len(nonce) == NONCE_BYTES:
            try:
                return AESGCM(export_key).decrypt(nonce, ciphertext, _part_head(did, kind, name))
            except InvalidTag:
                raise BadExport("the part was changed, or is of another export") from None
    raise BadExport("not a part of an export")


def passphrase_bytes(passphrase: str) -> bytes:
    """UTF-8 of the passphrase in Unicode's normal form C, so that keyboards may differ."""
    return unicodedata.normalize("NFC", passphrase).encode()


def _derived(
    passphrase: bytes, salt: bytes, memory_kib: int, iterations: int, lanes: int
) -> tuple[bytes, bytes]:
    derived = Argon2id(
        salt=salt,
        length=KEY_BYTES + CHECK_BYTES,
        iterations=iterations,
        lanes=lanes,
        memory_cost=memory_kib,
    ).derive(passphrase)
    return derived[:KEY_BYTES], derived[KEY_BYTES:]


def _part_head(did: str, kind: str, name: str) -> bytes:
    return cbor.encode([PART_KIND, VERSION, did, kind, name])


def _secrets_cbor(secrets: AccountSecrets) -> cbor.CborValue:
    attestation_keys: list[cbor.CborValue] = [
        [each.private_key, _milliseconds(each.created_at)] for each in secrets.attestation_keys
    ]
    devices: list[cbor.CborValue] = [_device_cbor(device) for device in secrets.devices]
    archive_keys: list[cbor.CborValue] = [
        [each.generation, each.secret, _milliseconds(each.created_at)] for each in secrets.archive_keys
    ]
    return {
        "exportKey": secrets.export_key,
        "devices": devices,
        "archiveKeys": archive_keys,
        "attestationKeys": attestation_keys,
    }


def _device_cbor(device: DeviceSecrets) -> cbor.CborValue:
    prekeys: list[cbor.CborValue] = [_prekey_cbor(prekey) for prekey in device.prekeys]
    return {
        "certificate": device.certificate,
        "formerCertificate": device.former_certificate,
        "createdAt": _milliseconds(device.created_at),
        "revokedAt": _milliseconds(device.revoked_at) if device.revoked_at else None,
        "privateKey": device.private_key,
        "prekeys": prekeys,
    }


def _prekey_cbor(prekey: PrekeySecrets) -> cbor.CborValue:
    return [
        prekey.generation,
        prekey.secret,
        prekey.signing_key,
        prekey.bundle_sig,
        _milliseconds(prekey.created_at),
        _milliseconds(prekey.expires_at),
        _milliseconds(prekey.destroy_after),
    ]


def _secrets(value: cbor.CborValue) -> AccountSecrets:
    match value:
        case {
            "exportKey": bytes(export_key),
            "devices": list(devices),
            "archiveKeys": list(archive_keys),
            "attestationKeys": list(attestation_keys),
            **more,
        } if (
            len(export_key) == KEY_BYTES
            and len(devices) <= _MOST_DEVICES
            and len(archive_keys) <= _MOST_ARCHIVE_KEYS
            and len(attestation_keys) <= _MOST_ATTESTATION_KEYS
            and not more
        ):
            return AccountSecrets(
                export_key,
                [_device(device) for device in devices],
                [_archive_secret(each) for each in archive_keys],
                [_attestation_secret(each) for each in attestation_keys],
            )
    raise BadExport("not the keys of an account")


def _device(value: cbor.CborValue) -> DeviceSecrets:
    match value:
        case {
            "certificate": bytes(certificate),
            "formerCertificate": None | bytes() as former_certificate,
            "createdAt": int(created_at),
            "revokedAt": None | int() as revoked_at,
            "privateKey": None | bytes() as private_key,
            "prekeys": list(prekeys),
            **more,
        } if len(prekeys) <= _MOST_PREKEYS and not more:
            if private_key is None and (revoked_at is None or prekeys):
                raise BadExport("a device without a key is one that was revoked, and has no prekeys")
            return DeviceSecrets(
                certificate,
                former_certificate,
                _moment(created_at),
                _moment(revoked_at) if revoked_at is not None else None,
                private_key,
                [_prekey(prekey) for prekey in prekeys],
            )
    raise BadExport("not a device")


def _prekey(value: cbor.CborValue) -> PrekeySecrets:
    match value:
        case [
            int(generation),
            bytes(secret),
            bytes(signing_key),
            bytes(bundle_sig),
            int(created_at),
            int(expires_at),
            int(destroy_after),
        ] if len(secret) == len(signing_key) == KEY_BYTES and generation < 2**31:
            return PrekeySecrets(
                generation,
                secret,
                signing_key,
                bundle_sig,
                _moment(created_at),
                _moment(expires_at),
                _moment(destroy_after),
            )
    raise BadExport("not a prekey")


def _archive_secret(value: cbor.CborValue) -> ArchiveSecret:
    match value:
        case [int(generation), bytes(secret), int(created_at)] if (
            len(secret) == KEY_BYTES and generation < 2**31
        ):
            return ArchiveSecret(generation, secret, _moment(created_at))
    raise BadExport("not an archive key")


def _attestation_secret(value: cbor.CborValue) -> AttestationSecret:
    match value:
        case [bytes(private_key), int(created_at)]:
            return AttestationSecret(private_key, _moment(created_at))
    raise BadExport("not an attestation key")


def _decoded(data: bytes, max_bytes: int) -> cbor.CborValue:
    try:
        return cbor.decode(data, max_bytes=max_bytes)
    except AtsmsError as error:
        raise BadExport(f"not a file of an export: {error.code}") from None


def _milliseconds(moment: datetime) -> int:
    """Without the fraction, as published times are."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(milliseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise BadExport("a time after the year 9999") from None
