"""The operator's key behind a passphrase: random keys in the database, each encrypted under the passphrase.

Only who knows the passphrase can read them: it goes through Argon2id (RFC 9106) with a salt and parameters
that stand next to each key.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from django.db import transaction

from crypto_agent import audit
from crypto_agent.atsms import cbor
from crypto_agent.custody import KEY_BYTES, NONCE_BYTES, Random
from crypto_agent.errors import Sealed, WrongPassphrase
from crypto_agent.models import PassphraseKey
from crypto_agent.operator_keys.in_memory import OperatorKeysInMemory

SALT_BYTES = 16
#: RFC 9106's choice for machines without gigabytes to spare: 64 MiB, three passes, four lanes.
MEMORY_KIB, ITERATIONS, LANES = 64 * 1024, 3, 4
SHORTEST_PASSPHRASE = 12
LONGEST_PASSPHRASE = 1024


class PassphraseSource:
    """The operator's key once the passphrase was given, by a file at the start or by ``unseal``."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._keys: OperatorKeysInMemory | None = None
        # Argon2 takes 64 MiB: requests that come meanwhile wait for the one that works.
        self._lock = threading.Lock()

    @property
    def waits_for_command(self) -> bool:
        """Whether no file brings the passphrase, so that somebody has to give it to the running agent."""
        return self._path is None

    def passphrase_of_file(self) -> bytes | None:
        """What the file has, if one brings the passphrase; raises Sealed."""
        return read_passphrase_file(self._path) if self._path else None

    def key(self) -> OperatorKeysInMemory:
        if self._keys is None:
            with self._lock:
                if self._keys is None:
                    self._keys = self._read()
        return self._keys

    def unseal(self, passphrase: bytes, before: Callable[[], object] | None = None) -> None:
        """Opens every version with the passphrase; raises WrongPassphrase, Sealed if there is none yet.

        ``before`` is called once they are open and before anything is done with them, which is not where it
        raises.
        """
        with self._lock:
            keys = open_keys(passphrase)
        if before is not None:
            before()
        self._keys = keys

    def read_again(self) -> OperatorKeysInMemory:
        """All versions, new ones included, if a file brings the passphrase; else those known before."""
        known = self.key()
        if self._path is None or set(PassphraseKey.objects.values_list("version", flat=True)) == set(
            known.versions
        ):
            return known
        with self._lock:
            self._keys = self._read()
        return self._keys

    def _read(self) -> OperatorKeysInMemory:
        if self._path is None:
            raise Sealed("nobody gave the operator's passphrase yet")
        return open_keys(read_passphrase_file(self._path))


def read_passphrase_file(path: Path) -> bytes:
    """The passphrase in a file, without the end of its line; raises Sealed."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_PASSPHRASE + 2).rstrip(b"\r\n")
    except OSError as error:
        raise Sealed("the file with the operator's passphrase is absent") from error


def open_keys(passphrase: bytes) -> OperatorKeysInMemory:
    """Every version of the operator's key; raises WrongPassphrase, Sealed if none was made yet."""
    rows = list(PassphraseKey.objects.order_by("version"))
    if not rows:
        raise Sealed("no operator's key was made yet")
    return OperatorKeysInMemory({row.version: _opened(row, passphrase) for row in rows})


def add_version(passphrase: bytes, now: datetime, random: Random) -> int:
    """Makes a new version, on record, under the passphrase, which must open those that are there.

    Raises WrongPassphrase, AuditUnavailable; ValueError if the passphrase is too short or too long for a
    first one.
    """
    with transaction.atomic():
        rows = list(PassphraseKey.objects.select_for_update().order_by("version"))
        if not rows:
            _check_length(passphrase)
        for row in rows:
            _opened(row, passphrase)
        version = rows[-1].version + 1 if rows else 1
        _sealed(PassphraseKey(version=version, created_at=now), random(KEY_BYTES), passphrase, random).save()
        audit.add(audit.by_command("makeOperatorKey", 1, now))
    return version


def change_passphrase(old: bytes, new: bytes, now: datetime, random: Random) -> int:
    """Encrypts every version under another passphrase, on record, in one transaction; how many there are.

    Raises WrongPassphrase, AuditUnavailable; ValueError if the new one is too short or too long.
    """
    _check_length(new)
    with transaction.atomic():
        rows = list(PassphraseKey.objects.select_for_update().order_by("version"))
        for row in rows:
            _sealed(row, _opened(row, old), new, random).save()
        if rows:
            audit.add(audit.by_command("changePassphrase", len(rows), now))
    return len(rows)


def _check_length(passphrase: bytes) -> None:
    if not SHORTEST_PASSPHRASE <= len(passphrase) <= LONGEST_PASSPHRASE:
        raise ValueError(f"a passphrase has {SHORTEST_PASSPHRASE} to {LONGEST_PASSPHRASE} bytes")


def _sealed(row: PassphraseKey, key: bytes, passphrase: bytes, random: Random) -> PassphraseKey:
    row.salt = random(SALT_BYTES)
    row.memory_kib, row.iterations, row.lanes = MEMORY_KIB, ITERATIONS, LANES
    nonce = random(NONCE_BYTES)
    row.wrapped = nonce + _cipher(row, passphrase).encrypt(nonce, key, _associated_data(row))
    return row


def _opened(row: PassphraseKey, passphrase: bytes) -> bytes:
    wrapped = bytes(row.wrapped)
    try:
        return _cipher(row, passphrase).decrypt(
            wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _associated_data(row)
        )
    except (InvalidTag, ValueError):
        raise WrongPassphrase("the passphrase is wrong") from None


def _cipher(row: PassphraseKey, passphrase: bytes) -> AESGCM:
    derivation = Argon2id(
        salt=bytes(row.salt),
        length=KEY_BYTES,
        iterations=row.iterations,
        lanes=row.lanes,
        memory_cost=row.memory_kib,
    )
    return AESGCM(derivation.derive(passphrase))


def _associated_data(row: PassphraseKey) -> bytes:
    return cbor.encode([1, "operator-key", row.version])
