"""Challenges for passkeys: each for one account and one purpose, once, for five minutes; in memory alone."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from crypto_agent.custody import Random
from crypto_agent.errors import WrongPasskey

CHALLENGE_BYTES = 32
LIFETIME_S = 300.0
MOST_OF_ACCOUNT = 20
MOST = 10_000


class PasskeyPurpose(StrEnum):
    """What somebody confirms with a passkey; what was signed for one of them holds for no other."""

    REGISTER = "register"
    SIGN_IN = "sign-in"
    UNLOCK = "unlock"
    CHANGE_CUSTODY = "change-custody"
    CREATE_DEVICE = "create-device"
    CREATE_GRANT = "create-grant"
    EXPORT = "export"
    IMPORT = "import"
    ERASE = "erase"
    REMOVE_PASSKEY = "remove-passkey"
    REQUIRE_PASSKEY = "require-passkey"


@dataclass(frozen=True)
class _Issued:
    did: str
    purpose: PasskeyPurpose
    end: float
    prf_salt: bytes


class Challenges:
    """The challenges that nobody answered yet, for all threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: OrderedDict[bytes, _Issued] = OrderedDict()
        self._lock = threading.Lock()

    def issue(self, did: str, purpose: PasskeyPurpose, random: Random, prf_salt: bytes = b"") -> bytes:
        """A new challenge of 32 bytes; ``prf_salt`` is kept with one for a new passkey."""
        challenge = random(CHALLENGE_BYTES)
        with self._lock:
            now = self._clock()
            own = []
            for known, issued in list(self._issued.items()):
                if issued.end <= now:
                    del self._issued[known]
                elif issued.did == did:
                    own.append(known)
            for surplus in own[: max(0, len(own) - MOST_OF_ACCOUNT + 1)]:
                del self._issued[surplus]
            self._issued[challenge] = _Issued(did, purpose, now + LIFETIME_S, prf_salt)
            while len(self._issued) > MOST:
                self._issued.popitem(last=False)
        return challenge

    def take(self, challenge: bytes, did: str, purpose: PasskeyPurpose) -> bytes:
        """Uses the challenge up, whatever it was for, and gives its PRF salt; raises WrongPasskey."""
        with self._lock:
            issued = self._issued.pop(challenge, None)
            if (
                issued is None
                or issued.end <= self._clock()
                or (issued.did, issued.purpose) != (did, purpose)
            ):
                raise WrongPasskey("the passkey's answer does not hold here")
            return issued.prf_salt


challenges = Challenges()
