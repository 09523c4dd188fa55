"""The keys above all others: the operator's key, and each account's data key wrapped by it.

An account's private keys and content are encrypted under its data key with AES-256-GCM; the context
(purpose, account, device, conversation, message, key version) is authenticated with each ciphertext.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent.errors import CannotUnseal
from crypto_agent.purposes import Context, Purpose

Random = Callable[[int], bytes]

KEY_BYTES = 32
NONCE_BYTES = 12
#: Data keys that one process keeps unwrapped; one of them takes under a kilobyte.
UNWRAPPED_KEYS = 2048


class OperatorKey(Protocol):
    """Wraps the accounts' data keys; what holds it may be a file, or hardware that never gives it out."""

    #: The versions that can unwrap.
    versions: frozenset[int]
    #: The version that new data keys are wrapped with.
    current_version: int

    def __hash__(self) -> int:
        """By identity: unwrapped keys are remembered for each provider."""

    def wrap(self, data_key: bytes, did: str, random: Random) -> bytes:
        """The data key of ``did`` encrypted under the current version."""

    def unwrap(self, wrapped: bytes, did: str, version: int) -> bytes:
        """The 32 bytes of the data key of ``did``; raises OperatorKeyMismatch."""


class AccountKeys:
    """The unwrapped data keys of one account by version; new ciphertexts use the newest."""

    def __init__(self, did: str, ciphers: Mapping[int, AESGCM]) -> None:
        self.did = did
        self.current_version = max(ciphers)
        self._ciphers = ciphers

    def __repr__(self) -> str:
        return f"AccountKeys({self.did!r}, current_version={self.current_version})"

    def encrypt(self, context: Context, plaintext: bytes, random: Random) -> bytes:
        """Nonce and AES-256-GCM ciphertext under the current version."""
        self._check(context)
        return encrypt_with(
            self._ciphers[self.current_version], context, self.current_version, plaintext, random
        )

    def decrypt(self, context: Context, ciphertext: bytes, key_version: int) -> bytes:
        """What ``encrypt`` was given; raises CannotUnseal for any other context, account or version."""
        self._check(context)
        cipher = self._ciphers.get(key_version)
        if cipher is None:
            raise CannotUnseal("it can't be unsealed here")
        return decrypt_with(cipher, context, key_version, ciphertext)

    def _check(self, context: Context) -> None:
        if context.did != self.did or context.purpose is Purpose.DATA_KEY:
            raise CannotUnseal("it can't be unsealed here")


def unwrap_account_keys(
    did: str, wrapped_keys: Iterable[tuple[int, bytes, int]], operator_key: OperatorKey
) -> AccountKeys:
    """The account's keys from its rows of (version, wrapped data key, operator key version).

    Unwrapped keys stay in this process's memory, a bounded number of them.
    """
    return AccountKeys(
        did,
        {
            version: _unwrapped(operator_key, bytes(wrapped), did, operator_version)
            for version, wrapped, operator_version in wrapped_keys
        },
    )


@lru_cache(maxsize=UNWRAPPED_KEYS)
def _unwrapped(operator_key: OperatorKey, wrapped: bytes, did: str, operator_version: int) -> AESGCM:
    return AESGCM(operator_key.unwrap(wrapped, did, operator_version))


def encrypt_with(
    cipher: AESGCM, context: Context, key_version: int, plaintext: bytes, random: Random
) -> bytes:
    """Nonce and AES-256-GCM ciphertext, with the context and the key's version authenticated."""
    nonce = random(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, context.associated_data(key_version))


def decrypt_with(cipher: AESGCM, context: Context, key_version: int, ciphertext: bytes) -> bytes:
    """What ``encrypt_with`` was given; raises CannotUnseal for another key, context or version."""
    try:
        return cipher.decrypt(
            ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], context.associated_data(key_version)
        )
    except (InvalidTag, ValueError):
        raise CannotUnseal("it can't be unsealed here") from None
