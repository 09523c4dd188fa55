"""Recovery codes of administrators: each stands once for a passkey that is lost.

They have the form of those that people have for their keys: 160 random bits, with a check against mistyping.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from accounts.models import AdminRecoveryCode
from crypto_agent import recovery_codes
from crypto_agent.errors import MistypedRecoveryCode

CODES = 8


class WrongCode(Exception):
    """Not a code of this administrator, or one that was used; ``mistyped`` if it is no code at all."""

    code = "wrong-recovery-code"

    def __init__(self, *, mistyped: bool) -> None:
        super().__init__("no recovery code that holds")
        self.mistyped = mistyped


@transaction.atomic
def new_codes(
    user: User, now: datetime, random: Callable[[int], bytes], *, present: int | None = None
) -> list[str]:
    """CODES new ones as they are shown this once; the former hold no more, and what they opened is closed.

    ``present`` is the key of the code that opened the session in which they are made, which goes on.
    """
    codes = [recovery_codes.new_code(random) for _ in range(CODES)]
    former = AdminRecoveryCode.objects.filter(user=user)
    if present is not None:
        former = former.exclude(pk=present, used_at__isnull=False)
    former.delete()
    AdminRecoveryCode.objects.bulk_create(
        AdminRecoveryCode(user=user, code_hash=_hash(code), created_at=now) for code in codes
    )
    return [recovery_codes.written(code) for code in codes]


def use(user: User, typed: str, now: datetime) -> AdminRecoveryCode:
    """The code that somebody typed, which is used up by that. Raises WrongCode."""
    try:
        code = recovery_codes.read(typed)
    except MistypedRecoveryCode as error:
        raise WrongCode(mistyped=True) from error
    mine = AdminRecoveryCode.objects.filter(user=user, code_hash=_hash(code))
    if not mine.filter(used_at=None).update(used_at=now):
        raise WrongCode(mistyped=False)
    return mine.get()


def left(user: User) -> int:
    """How many were not used yet."""
    return AdminRecoveryCode.objects.filter(user=user, used_at=None).count()


def _hash(code: bytes) -> str:
    return hashlib.sha256(code).hexdigest()
