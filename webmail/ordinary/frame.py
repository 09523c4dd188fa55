"""The frame in which HTML of ordinary mail is shown: from another host name, for one look.

A page asks for a frame; the frame's address is a random name that opens it once, within a minute. So its host
needs no session, holds no cookie of anybody, and an address that is left in a history opens nothing.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache

#: Seconds in which a frame that was asked for has to be fetched.
SECONDS = 60

#: Nothing runs, nothing is loaded, nothing is sent; links open elsewhere, without the sandbox.
_POLICY = (
    "default-src 'none'; img-src data:; style-src {frame}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors {pages}; sandbox allow-popups allow-popups-to-escape-sandbox"
)


def is_set_up() -> bool:
    """Whether there is another host name to show HTML from."""
    return bool(settings.FRAME_URL)


def host() -> str:
    """The host name that serves frames and nothing else."""
    return urlsplit(settings.FRAME_URL).hostname or ""


def ask_for(account_pk: int, arrival_id: int) -> str:
    """The address of a frame with that mail, to be fetched once."""
    name = secrets.token_urlsafe(24)
    cache.set(f"frame:{name}", [account_pk, arrival_id], SECONDS)
    return f"{settings.FRAME_URL}/frame/{name}/"


def take(name: str) -> tuple[int, int] | None:
    """Account and arrival of the frame with that name, once."""
    key = f"frame:{name}"
    found = cache.get(key)
    # Of two who ask at once, one has deleted it.
    if not isinstance(found, list) or not cache.delete(key):
        return None
    return int(found[0]), int(found[1])


def policy() -> str:
    """The Content-Security-Policy of a frame."""
    return _POLICY.format(frame=settings.FRAME_URL, pages=settings.PUBLIC_URL)
