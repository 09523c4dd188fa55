"""Who can open an account's keys, and with what, as plain values without any key.

The reprs show no secret: none can reach a log through them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True)
class Passphrase:
    """A passphrase that locks an account."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class RecoveryCode:
    """A recovery code as somebody typed it: spaces, dashes and case do not matter."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class PasskeyUse:
    """What a passkey answered in the browser: the AuthenticationResponseJSON, without the PRF's results.

    ``prf`` are the 32 bytes of the PRF's first result, where the passkey stands before the lock.
    """

    credential: Mapping[str, Any] = field(repr=False)
    prf: bytes | None = field(default=None, repr=False)


Secret = Passphrase | RecoveryCode | PasskeyUse
#: What a challenge for a passkey can be for.
PasskeyChallengePurpose = Literal[
    "sign-in",
    "unlock",
    "change-custody",
    "create-device",
    "create-grant",
    "export",
    "import",
    "erase",
    "remove-passkey",
    "require-passkey",
]


@dataclass(frozen=True)
class LockSecret:
    """One way to open a lock, other than the recovery code."""

    secret_id: str
    kind: Literal["passphrase", "passkey"]
    passkey_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class Passkey:
    """A passkey of the user; with ``prf`` it can open a lock."""

    passkey_id: str
    name: str
    prf: bool
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class Custody:
    """How an account's keys are guarded. ``unlocked`` and its end are those of the caller's own session.

    ``wait_until``: until then no passphrase is looked at. ``recovery_code_at``: when the code was made.
    """

    mode: Literal["managed", "locked"]
    unlocked: bool
    unlocked_until: datetime | None
    secrets: list[LockSecret]
    passkeys: list[Passkey]
    passkey_required: bool
    recovery_code_at: datetime | None
    wait_until: datetime | None
    passkeys_available: bool


@dataclass(frozen=True)
class UnlockSession:
    """What an unlocked account is used with, to be kept in the browser's session alone."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Locked:
    """An account just locked: its recovery code, to be shown this once, and a session that is unlocked."""

    recovery_code: str = field(repr=False)
    session: UnlockSession
