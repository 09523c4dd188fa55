"""The keys above all others: the operator's key, and each account's data key wrapped by it.

An account's private keys and content are encrypted under its data key with AES-256-GCM; the context
(purpose, account, device, conversation, message, key version) is authenticated with each ciphertext.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent.errors import CannotUnseal
from crypto_agent.purposes import ABOVE_DATA_KEYS, Context, Purpose

Random = Callable[[int], bytes]
#: A row of a data key: its version, wrapped, and the version of the operator's key that wraps it.
WrappedKey: TypeAlias = tuple[int, bytes, int]

KEY_BYTES = 32
NONCE_BYTES = 12
#: Accounts whose data keys one process keeps unwrapped; a key takes under a kilobyte.
UNWRAPPED_KEYS = 2048


class OperatorKey(Protocol):
    """Wraps the accounts' data keys; what holds it may be a file, or hardware that never gives it out."""

    #: The versions that can unwrap.
    versions: frozenset[int]
    #: The version that new data keys are wrapped with.
    current_version: int

    def __hash__(self) -> int:
        """By identity: unwrapped keys are remembered for each provider."""

    def wrap(self, data_key: bytes, did: str, data_key_version: int, random: Random) -> bytes:
        """A data key of ``did`` encrypted under the current version; longer, where the user locked it."""

    def unwrap(self, wrapped: bytes, did: str, data_key_version: int, version: int) -> bytes:
        """What ``wrap`` was given; raises OperatorKeyMismatch."""


def data_key_contexts(did: str, data_key_version: int) -> tuple[Context, Context]:
    """What a data key is wrapped in, and what it may be in still from before its version was a part of it."""
    return Context(Purpose.DATA_KEY, did, device=str(data_key_version)), Context(Purpose.DATA_KEY, did)


class AccountKeys:
    """The unwrapped data keys of one account by version; new ciphertexts use the newest.

    ``read_again`` gives the keys as they are now: somebody may have made another version since, and what
    is read then can be encrypted under it already.
    """

    def __init__(
        self,
        did: str,
        ciphers: Mapping[int, AESGCM],
        read_again: Callable[[], Mapping[int, AESGCM]] | None = None,
    ) -> None:
        self.did = did
        self.current_version = max(ciphers)
        self._ciphers = ciphers
        self._read_again = read_again

    def __repr__(self) -> str:
        return f"AccountKeys({self.did!r}, current_version={self.current_version})"

    def followed_by(self, cipher: AESGCM) -> "AccountKeys":
        """The same keys and a next version, which is the newest then."""
        return AccountKeys(self.did, {**self._ciphers, self.current_version + 1: cipher})

    @property
    def ciphers(self) -> Mapping[int, AESGCM]:
        """The cipher of each version."""
        return self._ciphers

    def encrypt(self, context: Context, plaintext: bytes, random: Random) -> bytes:
        """Nonce and AES-256-GCM ciphertext under the current version."""
        self._check(context)
        return encrypt_with(
            self._ciphers[self.current_version], context, self.current_version, plaintext, random
        )

    def decrypt(self, context: Context, ciphertext: bytes, key_version: int) -> bytes:
        """What ``encrypt`` was given; raises CannotUnseal for any other context, account or version."""
        self._check(context)
        if key_version > self.current_version and self._read_again is not None:
            self._ciphers, self._read_again = self._read_again(), None
        cipher = self._ciphers.get(key_version)
        if cipher is None:
            raise CannotUnseal("it can't be unsealed here")
        return decrypt_with(cipher, context, key_version, ciphertext)

    def _check(self, context: Context) -> None:
        if context.did != self.did or context.purpose in ABOVE_DATA_KEYS:
            raise CannotUnseal("it can't be unsealed here")


class UnwrappedKeys:
    """The unwrapped data keys of the accounts that were used last, for all threads."""

    def __init__(self, most_accounts: int = UNWRAPPED_KEYS) -> None:
        self._most_accounts = most_accounts
        self._ciphers: OrderedDict[str, dict[WrappedKey, AESGCM]] = OrderedDict()
        self._lock = threading.Lock()
        #: Changes whenever something is forgotten.
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._ciphers)

    def __contains__(self, did: str) -> bool:
        return did in self._ciphers

    def find(self, did: str, row: WrappedKey) -> AESGCM | None:
        with self._lock:
            ciphers = self._ciphers.get(did)
            if ciphers is None:
                return None
            self._ciphers.move_to_end(did)
            return ciphers.get(row)

    def keep(self, did: str, row: WrappedKey, cipher: AESGCM, epoch: int) -> None:
        """Remembers a key whose row was read when ``epoch`` was the present one.

        Whatever was forgotten since then stays forgotten: the row may have been read before a lock.
        """
        with self._lock:
            if epoch != self.epoch:
                return
            self._ciphers.setdefault(did, {})[row] = cipher
            self._ciphers.move_to_end(did)
            while len(self._ciphers) > self._most_accounts:
                self._ciphers.popitem(last=False)

    def forget(self, did: str) -> None:
        with self._lock:
            self.epoch += 1
            self._ciphers.pop(did, None)


def unwrap_account_keys(
    did: str,
    rows: Iterable[WrappedKey],
    operator_key: OperatorKey,
    kept: UnwrappedKeys | None = None,
    epoch: int = 0,
) -> AccountKeys:
    """The account's keys from its rows of (version, wrapped data key, operator key version).

    With ``kept`` they stay in memory, for rows that were read at its ``epoch`` or later.
    """
    ciphers = {}
    for row in rows:
        version, wrapped, operator_version = row
        cipher = kept.find(did, row) if kept is not None else None
        if cipher is None:
            cipher = AESGCM(operator_key.unwrap(wrapped, did, version, operator_version))
            if kept is not None:
                kept.keep(did, row, cipher, epoch)
        ciphers[version] = cipher
    return AccountKeys(did, ciphers)


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
