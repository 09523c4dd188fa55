"""Browsers in which an administrator has signed in before (device cookies, as OWASP describes them).

Strangers can use up all tries that a name has. Whoever holds such a cookie has tries of their own, which
nobody gets without having known the password that there is.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse

COOKIE = "__Secure-admin-browser" if settings.SECURE else "admin-browser"
PATH = "/admin/login/"
#: A browser that its administrator left alone for so long is one as any other.
KEPT_SECONDS = 180 * 24 * 60 * 60


def known_as(request: HttpRequest, name: str) -> str | None:
    """What tells this browser from others, if an administrator of that name signed in there with the
    password that they still have; else None."""
    cookie = request.COOKIES.get(COOKIE)
    if cookie is None:
        return None
    try:
        user = User.objects.filter(username=UsernameField().clean(name)).first()
    except ValidationError:
        return None
    return _token_in(cookie, user) if user else None


def remember(request: HttpRequest, answer: HttpResponse, user: User) -> None:
    """Adds the cookie to the answer to an administrator who has just shown their password. A browser that is
    known stays what it was, so that its tries do not begin anew."""
    token = _token_in(request.COOKIES.get(COOKIE, ""), user) or secrets.token_hex(16)
    answer.set_cookie(
        COOKIE,
        _signer(user).sign(token),
        max_age=KEPT_SECONDS,
        path=PATH,
        secure=settings.SECURE,
        httponly=True,
        samesite="Strict",
    )


def _token_in(cookie: str, user: User) -> str | None:
    try:
        return _signer(user).unsign(cookie, max_age=KEPT_SECONDS)
    except BadSignature:
        return None


def _signer(user: User) -> TimestampSigner:
    """Another password makes all cookies invalid, as it does the user's sessions."""
    return TimestampSigner(salt=f"{__name__}:{user.pk}:{user.get_session_auth_hash()}")
