"""Whether an administrator's session has passed the second factor, and where it goes while it has not.

The session names the passkey or the recovery code that opened it: when that is removed, the session is closed
to admin again. Nothing else in a session opens admin, whoever is signed in with it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import admin_passkeys, sessions
from accounts.models import AdminPasskey, AdminRecoveryCode

PASSED = "admin_second_factor"
PASSWORD_GIVEN = "admin_password_given"  # noqa: S105
#: A session is asked again after so long.
PASSED_FOR = timedelta(hours=12)
#: What changes the second factor itself asks for one that was shown within this time, or, for the first
#: passkey, for a password.
FRESH_FOR = timedelta(minutes=15)


def with_password(request: HttpRequest) -> User | None:
    """The administrator whose password this session was opened with, whatever else it lacks."""
    user = request.user
    return user if isinstance(user, User) and user.is_active and user.is_staff else None


def note_password(request: HttpRequest, now: datetime) -> None:
    """For a session in which the password was just given: the second factor is asked for anew."""
    request.session.pop(PASSED, None)
    request.session[PASSWORD_GIVEN] = now.timestamp()


def note_passed(request: HttpRequest, by: AdminPasskey | AdminRecoveryCode, now: datetime) -> None:
    """For a session in which this was just shown; it gets another key, as when somebody signs in."""
    kind = "passkey" if isinstance(by, AdminPasskey) else "code"
    request.session.cycle_key()
    request.session[PASSED] = {"user": by.user_id, kind: by.pk, "at": now.timestamp()}


def code_of(request: HttpRequest, user: User) -> int | None:
    """The key of the recovery code that opened this session for ``user``; None if none did."""
    passed = request.session.get(PASSED)
    if not isinstance(passed, dict) or passed.get("user") != user.pk:
        return None
    code = passed.get("code")
    return code if isinstance(code, int) else None


def is_open(request: HttpRequest) -> bool:
    """Whether admin is shown to this session."""
    user = with_password(request)
    if user is None:
        return False
    if _passed_within(request, user, PASSED_FOR):
        return True
    return settings.ADMIN_SECOND_FACTOR == "optional" and not admin_passkeys.has_one(user)


def may_change_it(request: HttpRequest, user: User) -> bool:
    """Whether passkeys may be made and removed from this session, and codes made."""
    if admin_passkeys.has_one(user):
        return _passed_within(request, user, FRESH_FOR)
    return _is_within(request.session.get(PASSWORD_GIVEN), FRESH_FOR)


def way_on(request: HttpRequest, user: User, next_path: str) -> str:
    """The page that this session needs next, and that leads to ``next_path``: the one that asks for the
    passkey, the one that makes the first, or the one that asks for the password once more."""
    if admin_passkeys.has_one(user):
        name = "admin:second-factor-ask"
    elif may_change_it(request, user):
        name = "admin:second-factor-new"
    else:
        name = "admin:login"
    return f"{reverse(name)}?{urlencode({'next': next_path})}"


def next_path(request: HttpRequest) -> str:
    """The page of admin to which the pages on the way lead in the end."""
    asked = sessions.safe_path(request.GET.get("next", ""))
    return asked if asked.startswith(reverse("admin:index")) else reverse("admin:index")


def _passed_within(request: HttpRequest, user: User, time: timedelta) -> bool:
    passed = request.session.get(PASSED)
    if (
        not isinstance(passed, dict)
        or passed.get("user") != user.pk
        or not _is_within(passed.get("at"), time)
    ):
        return False
    if "passkey" in passed:
        return AdminPasskey.objects.filter(user=user, pk=passed["passkey"]).exists()
    return "code" in passed and AdminRecoveryCode.objects.filter(user=user, pk=passed["code"]).exists()


def _is_within(at: object, time: timedelta) -> bool:
    if not isinstance(at, float):
        return False
    return 0 <= timezone.now().timestamp() - at < time.total_seconds()
