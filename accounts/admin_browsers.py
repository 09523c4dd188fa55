"""Browsers in which an administrator has signed in before (device cookies, as OWASP describes them).

Strangers can use up all tries that a name has. Whoever holds such a cookie has tries of their own, which
nobody gets without having known the password once.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse

from accounts.rate_limits import as_one_name

COOKIE = "__Secure-admin-browser" if settings.SECURE else "admin-browser"
PATH = "/admin/login/"
#: A browser that its administrator left alone for so long is one as any other.
KEPT_SECONDS = 180 * 24 * 60 * 60


def known_as(request: HttpRequest, name: str) -> str | None:
    """What tells this browser from others, if an administrator of that name signed in there; else None."""
    try:
        return _signer(name).unsign(request.COOKIES.get(COOKIE, ""), max_age=KEPT_SECONDS)
    except BadSignature:
        return None


def remember(answer: HttpResponse, name: str) -> None:
    """Adds the cookie to the answer to the administrator of that name, who has just shown their password."""
    value = _signer(name).sign(secrets.token_hex(16))
    answer.set_cookie(
        COOKIE,
        value,
        max_age=KEPT_SECONDS,
        path=PATH,
        secure=settings.SECURE,
        httponly=True,
        samesite="Strict",
    )


def _signer(name: str) -> TimestampSigner:
    return TimestampSigner(salt=f"{__name__}:{as_one_name(name)}")
