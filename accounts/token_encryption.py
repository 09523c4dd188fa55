"""Encryption at rest of what would let somebody act for a person: OAuth tokens and DPoP keys.

Fernet (AES-128-CBC with HMAC-SHA-256) under ``settings.TOKEN_KEYS``: the first key encrypts, all decrypt,
so a key is replaced by putting a new one in front.
"""

import functools

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class TokenUnreadable(Exception):
    """A stored token that none of the present keys opens."""

    code = "token-unreadable"


def seal(text: str) -> bytes:
    """Encrypts a token or key for the database."""
    return _fernet(tuple(settings.TOKEN_KEYS)).encrypt(text.encode())


def unseal(sealed: bytes | memoryview) -> str:
    """What ``seal`` was given. Raises TokenUnreadable."""
    try:
        return _fernet(tuple(settings.TOKEN_KEYS)).decrypt(bytes(sealed)).decode()
    except InvalidToken as error:
        raise TokenUnreadable("none of the keys in WAXWING_TOKEN_KEYS opens this token") from error


@functools.lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
