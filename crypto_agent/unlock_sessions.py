"""Unlock sessions: who unlocked which locked account, and until when; in this process's memory alone.

A session is known by a random token that only the browser's session in the web process has; here is its
SHA-256. The lock key and the unwrapped data keys of an account stay for as long as one of its sessions lives.
"""

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto_agent.custody import Random
from crypto_agent.errors import AccountLocked

TOKEN_BYTES = 32
#: Sessions of one account at once; the one that ends first makes room.
MOST_SESSIONS = 50
#: How often keys are dropped whose time is over, where no call came to drop them.
SWEEP_SECONDS = 15.0


@dataclass(frozen=True)
class Asker:
    """Who wants the keys: the web brings the token of the browser's session, others need ``any_session``."""

    token: str = field(default="", repr=False)
    any_session: bool = False


#: What asks in this process itself, such as a command, is nobody's browser.
_ITSELF = Asker(any_session=True)
_asker: ContextVar[Asker] = ContextVar("asker", default=_ITSELF)


@contextmanager
def asking(asker: Asker) -> Iterator[None]:
    """Within it, locked accounts open for ``asker`` only."""
    reset = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(reset)


@dataclass(repr=False)
class Unlocked:
    """An unlocked account: its lock key, and when which of its sessions ends, by the hash of its token."""

    lock_id: str
    lock_key: bytes
    ends: dict[bytes, float]
    #: Unwrapped data keys by their wrapped form.
    ciphers: dict[tuple[int, bytes], AESGCM] = field(default_factory=dict)


class UnlockSessions:
    """The sessions of all accounts, for all threads; ``clock`` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: dict[str, Unlocked] = {}
        self._lock = threading.Lock()

    def begin(self, did: str, lock_id: str, lock_key: bytes, token: str, lifetime_s: float) -> None:
        """Opens the account for whoever brings ``token``, for so many seconds."""
        with self._lock:
            now = self._clock()
            unlocked = self._living(did, now)
            if unlocked is None or unlocked.lock_id != lock_id:
                unlocked = self._accounts[did] = Unlocked(lock_id, lock_key, {})
            unlocked.ends[_hash(token)] = now + lifetime_s
            while len(unlocked.ends) > MOST_SESSIONS:
                del unlocked.ends[min(unlocked.ends, key=unlocked.ends.__getitem__)]

    def find(self, did: str, lock_id: str) -> Unlocked:
        """The account's keys, if whoever asks may have them; raises AccountLocked."""
        with self._lock:
            unlocked = self._living(did, self._clock())
            asker = _asker.get()
            if (
                unlocked is None
                or unlocked.lock_id != lock_id
                or not (asker.any_session or _hash(asker.token) in unlocked.ends)
            ):
                raise AccountLocked("the account is locked")
            return unlocked

    def seconds_left(self, did: str, lock_id: str) -> float:
        """How long the asker's session lives, or the longest one for who needs none; 0 for no session."""
        with self._lock:
            now = self._clock()
            unlocked = self._living(did, now)
            if unlocked is None or unlocked.lock_id != lock_id:
                return 0.0
            asker = _asker.get()
            end = max(unlocked.ends.values()) if asker.any_session else unlocked.ends.get(_hash(asker.token))
            return end - now if end is not None else 0.0

    def end(self, did: str) -> None:
        """Ends the asker's own session."""
        with self._lock:
            unlocked = self._living(did, self._clock())
            if unlocked is not None:
                unlocked.ends.pop(_hash(_asker.get().token), None)
                if not unlocked.ends:
                    del self._accounts[did]

    def end_others(self, did: str) -> None:
        """Ends every session but the asker's own."""
        with self._lock:
            unlocked = self._living(did, self._clock())
            if unlocked is not None:
                own = _hash(_asker.get().token)
                unlocked.ends = {known: end for known, end in unlocked.ends.items() if known == own}
                self._living(did, self._clock())

    def end_all(self, did: str) -> None:
        with self._lock:
            self._accounts.pop(did, None)

    def forget_data_keys(self, did: str) -> None:
        """Drops the account's unwrapped data keys; its sessions go on."""
        with self._lock:
            if did in self._accounts:
                self._accounts[did].ciphers = {}

    def sweep(self) -> None:
        """Drops the keys of every account whose last session is over."""
        with self._lock:
            now = self._clock()
            for did in list(self._accounts):
                self._living(did, now)

    def _living(self, did: str, now: float) -> Unlocked | None:
        unlocked = self._accounts.get(did)
        if unlocked is None:
            return None
        for token_hash in [known for known, end in unlocked.ends.items() if end <= now]:
            del unlocked.ends[token_hash]
        if not unlocked.ends:
            del self._accounts[did]
            return None
        return unlocked


sessions = UnlockSessions()


def new_token(random: Random) -> str:
    """43 characters of url-safe base64."""
    return base64.urlsafe_b64encode(random(TOKEN_BYTES)).rstrip(b"=").decode()


def begin_sweeping() -> None:
    """Starts the thread that drops keys whose time is over."""
    threading.Thread(target=_keep_sweeping, daemon=True).start()


def _keep_sweeping() -> None:
    pause = threading.Event()
    while True:
        sessions.sweep()
        pause.wait(SWEEP_SECONDS)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
