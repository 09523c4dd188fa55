"""The lock key of a locked account: what it wraps, and how each secret of the user wraps it.

A locked account's data key is ``operator's wrap(lock key's wrap(data key))``. The lock key is 32 random bytes
and is stored only encrypted, once under each secret: a passphrase through Argon2id, the output of a passkey's
PRF and the recovery code through HKDF-SHA256 (RFC 5869). Everything is AES-256-GCM with its context
authenticated.
"""

import unicodedata
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto_agent.atsms import cbor
from crypto_agent.custody import KEY_BYTES, Random, decrypt_with, encrypt_with
from crypto_agent.errors import CannotUnseal, WeakPassphrase, WrongSecret
from crypto_agent.purposes import Context, Purpose

SALT_BYTES = 16
SHORTEST_PASSPHRASE = 12
LONGEST_PASSPHRASE_BYTES = 1024
_WRAP_VERSION = 1


@dataclass(frozen=True)
class Argon2Parameters:
    """How a passphrase is derived (RFC 9106): a salt of 16 bytes, memory in KiB, passes, lanes."""

    salt: bytes = field(repr=False)
    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4


def check_new_passphrase(passphrase: str) -> None:
    """Raises WeakPassphrase for one under 12 characters or above 1024 bytes."""
    text = _normal(passphrase)
    if len(text) < SHORTEST_PASSPHRASE:
        raise WeakPassphrase(f"a passphrase has at least {SHORTEST_PASSPHRASE} characters")
    if len(text.encode()) > LONGEST_PASSPHRASE_BYTES:
        raise WeakPassphrase(f"a passphrase has at most {LONGEST_PASSPHRASE_BYTES} bytes")


def key_of_passphrase(passphrase: str, parameters: Argon2Parameters) -> bytes:
    """The 32 bytes that a passphrase wraps the lock key with.

    It is put into Unicode's NFC first, as RFC 8265 has it, since keyboards differ in how they give accents.
    """
    derivation = Argon2id(
        salt=parameters.salt,
        length=KEY_BYTES,
        iterations=parameters.iterations,
        lanes=parameters.lanes,
        memory_cost=parameters.memory_kib,
    )
    return derivation.derive(_normal(passphrase).encode())


def key_of_passkey(prf_output: bytes, did: str, credential_id: bytes) -> bytes:
    """The 32 bytes that a passkey wraps the lock key with, from the 32 bytes of its PRF."""
    return _expanded(prf_output, ["passkey", did, credential_id])


def key_of_recovery_code(code: bytes, did: str) -> bytes:
    """The 32 bytes that a recovery code of 20 bytes wraps the lock key with."""
    return _expanded(code, ["recovery-code", did])


def wrap_lock_key(key: bytes, lock_key: bytes, did: str, secret_id: str, random: Random) -> bytes:
    """The lock key under a key of one of the functions above, bound to the account and the secret."""
    context = Context(Purpose.LOCK_KEY, did, device=secret_id)
    return encrypt_with(AESGCM(key), context, _WRAP_VERSION, lock_key, random)


def unwrap_lock_key(key: bytes, wrapped: bytes, did: str, secret_id: str) -> bytes:
    """What ``wrap_lock_key`` was given; raises WrongSecret."""
    context = Context(Purpose.LOCK_KEY, did, device=secret_id)
    try:
        return decrypt_with(AESGCM(key), context, _WRAP_VERSION, wrapped)
    except CannotUnseal:
        raise WrongSecret("this does not open the account's lock") from None


def lock_data_key(lock_key: bytes, data_key: bytes, did: str, version: int, random: Random) -> bytes:
    """A data key under the lock key; ``version`` is the data key's."""
    return encrypt_with(AESGCM(lock_key), Context(Purpose.LOCKED_DATA_KEY, did), version, data_key, random)


def unlock_data_key(lock_key: bytes, locked: bytes, did: str, version: int) -> bytes:
    """What ``lock_data_key`` was given; raises CannotUnseal."""
    return decrypt_with(AESGCM(lock_key), Context(Purpose.LOCKED_DATA_KEY, did), version, locked)


def _normal(passphrase: str) -> str:
    return unicodedata.normalize("NFC", passphrase)


def _expanded(secret: bytes, context: list[str | bytes]) -> bytes:
    info = cbor.encode(["waxwing-lock", _WRAP_VERSION, *context])
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(secret)
