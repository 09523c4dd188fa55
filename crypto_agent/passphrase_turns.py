"""One passphrase is derived at a time: Argon2id takes 64 MiB, and several at once several times that."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from crypto_agent.errors import AgentBusy

#: Calls that work or wait; fewer than the agent's threads, so that guessing can't hold up everything else.
MOST_AT_ONCE = 4
#: Those of one account, so that nobody who asks again and again keeps all others from unlocking.
MOST_OF_ONE = 2

_working = threading.Lock()


class _Places:
    """Whose calls work or wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def total(self) -> int:
        with self._lock:
            return self._taken.total()

    def take(self, did: str) -> bool:
        with self._lock:
            if self._taken.total() >= MOST_AT_ONCE or self._taken[did] >= MOST_OF_ONE:
                return False
            self._taken[did] += 1
            return True

    def give_back(self, did: str) -> None:
        with self._lock:
            self._taken[did] -= 1
            self._taken += Counter()


_places = _Places()


@contextmanager
def turn(did: str) -> Iterator[None]:
    """Waits until nobody else derives; raises AgentBusy if several wait already, in all or of the account."""
    if not _places.take(did):
        raise AgentBusy("several passphrases are being derived: try again in a moment")
    try:
        with _working:
            yield
    finally:
        _places.give_back(did)
