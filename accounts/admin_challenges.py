"""Challenges for administrators' passkeys: each for one session and one purpose, once, for five minutes.

They are rows, so that they hold for every process, also while Redis is away, and are used up by one alone.
"""

import hashlib
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from accounts.models import AdminPasskeyChallenge

Purpose = AdminPasskeyChallenge.Purpose

CHALLENGE_BYTES = 32
LIFETIME = timedelta(minutes=5)


def issue(user: User, session_key: str, purpose: Purpose, challenge: bytes, now: datetime) -> None:
    """Notes a challenge of CHALLENGE_BYTES random octets, in place of the session's former ones."""
    rows = AdminPasskeyChallenge.objects
    rows.filter(expires_at__lte=now).delete()
    rows.filter(user=user, session_hash=_hash(session_key.encode()), purpose=purpose).delete()
    rows.create(
        user=user,
        purpose=purpose,
        challenge_hash=_hash(challenge),
        session_hash=_hash(session_key.encode()),
        expires_at=now + LIFETIME,
    )


def take(user: User, session_key: str, purpose: Purpose, challenge: bytes, now: datetime) -> bool:
    """Uses the challenge up; whether it was this session's, for this purpose, and in time."""
    deleted, _of = AdminPasskeyChallenge.objects.filter(
        user=user,
        session_hash=_hash(session_key.encode()),
        purpose=purpose,
        challenge_hash=_hash(challenge),
        expires_at__gt=now,
    ).delete()
    return deleted == 1


def _hash(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
