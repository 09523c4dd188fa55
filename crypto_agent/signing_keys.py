"""What accounts sign with, kept ready; of managed accounts alone, and of a bounded number of them.

Keys are found by the rows that hold them, exactly as these are when somebody asks. So changed, moved or
revoked rows find nothing, and what revoking, locking or erasing drops is not needed again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent.atsms.certificates import EndpointCertificate

#: Some kilobytes each.
MOST_KEYS = 1024

#: Rows as the database gives them: data keys of an account beside its active device.
Rows: TypeAlias = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, repr=False)
class Signer:
    """An account's active device: its certificate, and its private key."""

    certificate: EndpointCertificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, repr=False)
class Ready:
    """What such rows hold, unwrapped: the cipher of each data key by its version, and what signs."""

    ciphers: Mapping[int, AESGCM]
    #: The versions of the operator's key that the data keys are wrapped with.
    operator_versions: frozenset[int]
    signer: Signer | None


class SigningKeys:
    """The keys of the accounts that signed last, for all threads."""

    def __init__(self, most_keys: int = MOST_KEYS) -> None:
        self._most_keys = most_keys
        self._keys: OrderedDict[str, tuple[Rows, Ready]] = OrderedDict()
        self._lock = threading.Lock()
        #: Changes whenever something is dropped.
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, did: str) -> bool:
        return did in self._keys

    def find(self, did: str, rows_now: Callable[[int], Rows]) -> Ready | None:
        """What is kept for the account, if ``rows_now``, given the key of its row, are those it came from."""
        with self._lock:
            kept = self._keys.get(did)
            if kept is None:
                return None
            self._keys.move_to_end(did)
        rows, ready = kept
        return ready if rows_now(rows[0][0]) == rows else None

    def keep(self, did: str, rows: Rows, ready: Ready, epoch: int) -> None:
        """Remembers keys whose rows were read when ``epoch`` was the present one, or later."""
        with self._lock:
            if epoch != self.epoch:
                return
            self._keys[did] = (rows, ready)
            self._keys.move_to_end(did)
            while len(self._keys) > self._most_keys:
                self._keys.popitem(last=False)

    def drop(self, did: str) -> None:
        """Removes the account's keys from memory; done once what makes them useless is committed."""
        with self._lock:
            self.epoch += 1
            self._keys.pop(did, None)
