"""Versions of the operator's key that this process holds itself."""

from collections.abc import Mapping
from contextlib import suppress

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent.custody import KEY_BYTES, Random, data_key_contexts, decrypt_with, encrypt_with
from crypto_agent.errors import CannotUnseal, OperatorKeyMismatch, Sealed


class OperatorKeysInMemory:
    """One or several versions of the operator's key, 32 bytes each; the newest one wraps."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        if not keys:
            raise Sealed("there is no operator's key")
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise Sealed("the operator's key must be 32 bytes")
        self._ciphers = {version: AESGCM(key) for version, key in keys.items()}
        self.versions = frozenset(self._ciphers)
        self.current_version = max(self._ciphers)

    def wrap(self, data_key: bytes, did: str, data_key_version: int, random: Random) -> bytes:
        version = self.current_version
        context, _ = data_key_contexts(did, data_key_version)
        return encrypt_with(self._ciphers[version], context, version, data_key, random)

    def unwrap(self, wrapped: bytes, did: str, data_key_version: int, version: int) -> bytes:
        cipher = self._ciphers.get(version)
        if cipher is None:
            raise OperatorKeyMismatch(f"version {version} of the operator's key is absent")
        for context in data_key_contexts(did, data_key_version):
            with suppress(CannotUnseal):
                return decrypt_with(cipher, context, version, wrapped)
        raise OperatorKeyMismatch("the operator's key does not open this account's data key")
