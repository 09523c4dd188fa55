"""Which account a browser is signed in to, and views that need one."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.auth import SESSION_KEY as STAFF_SESSION_KEY
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.http.cookie import parse_cookie
from django.urls import reverse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import browsers, unlocking
from accounts.agent import unlocked_by
from accounts.browser_sessions import SessionStore
from accounts.middleware import Middleware
from accounts.models import Account, OAuthSession
from accounts.prepared_rows import PreparedRows
from crypto_agent.client import AgentLocked

#: In the browser's session: the id of its OAuthSession, and the states of sign-ins begun in it.
OAUTH_SESSION_KEY = "oauth_session"
STATES_KEY = "oauth_states"
#: In the browser's session: an OAuthSession that counts only once the account's passkey was shown.
PENDING_KEY = "sign_in_without_passkey"
#: In the browser's session: the id of the OAuthSession for which the account's passkey was shown.
PASSKEY_KEY = "passkey_shown"
PENDING_LIFETIME = timedelta(minutes=15)
#: Sign-ins that one browser may have open at once (in several tabs).
MAX_STATES = 5

_WITH_ACCOUNT = PreparedRows(lambda pk: OAuthSession.objects.select_related("account").filter(pk=pk))


@dataclass(frozen=True)
class PendingSignIn:
    """A browser whose person's server vouches for it, and that has a passkey left to show."""

    session: OAuthSession
    next_path: str


class SignedInAccount(MiddlewareMixin):
    """Sets ``request.account``, ``oauth_session`` and ``unlocked`` (None where there is none).

    A browser is signed in for as long as its OAuth session lives: the person's server can end both. Where
    the account requires its passkey, only browsers count in which it was shown.
    """

    def process_request(self, request: HttpRequest) -> None:
        session_id = request.session.get(OAUTH_SESSION_KEY)
        session = _WITH_ACCOUNT.one(session_id) if session_id is not None else None
        if session and session.account.passkey_required and request.session.get(PASSKEY_KEY) != session.pk:
            session = None
        if session is not None:
            browsers.note(request, session, timezone.now())
        request.oauth_session = session  # type: ignore[attr-defined]
        request.account = session.account if session else None  # type: ignore[attr-defined]
        unlocked = unlocking.of(request, session.account, timezone.now()) if session else None
        request.unlocked = unlocked  # type: ignore[attr-defined]
        if session is not None:
            session.account.locked_here = session.account.may_lock and unlocked is None


class UnlockedBrowser(Middleware):
    """Lets the agent know, in every call that answers a request, what the request's browser has unlocked.

    What was opened for an account that can be locked is kept by no browser beyond its page, nor are parts of
    pages, which may have the address of the whole one.
    """

    def during(self, request: HttpRequest) -> AbstractContextManager[object]:
        return unlocked_by(_token(request))

    def finished(self, request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
        account = account_of(request)
        if account is not None and (account.may_lock or _is_htmx(request)):
            answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def _token(request: HttpRequest) -> str | None:
    unlocked: unlocking.BrowserUnlock | None = getattr(request, "unlocked", None)
    return unlocked.token if unlocked else None


def account_of(request: HttpRequest) -> Account | None:
    """The signed-in account, typed; None when nobody is signed in."""
    account: Account | None = getattr(request, "account", None)
    return account


def account_behind(cookies: str) -> int | None:
    """The key of the account that is signed in in the browser with this ``Cookie`` header, if any is."""
    key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    store = SessionStore(key)
    session_id = store.get(OAUTH_SESSION_KEY) if key else None
    if session_id is None:
        return None
    rows = OAuthSession.objects.filter(pk=session_id).values_list("account_id", "account__passkey_required")
    found = rows.first()
    if found is None or (found[1] and store.get(PASSKEY_KEY) != session_id):
        return None
    return found[0]


def sign_in_browser(request: HttpRequest, session: OAuthSession) -> None:
    """Binds the browser to a session, under a new session key so that an older one gains nothing."""
    request.session.cycle_key()
    request.session.pop(PENDING_KEY, None)
    unlocking.forget(request)
    request.session[OAUTH_SESSION_KEY] = session.pk


def note_passkey(request: HttpRequest) -> None:
    """The passkey of the account that is signed in was shown in this browser."""
    request.session[PASSKEY_KEY] = request.session[OAUTH_SESSION_KEY]


def begin_pending(request: HttpRequest, session: OAuthSession, next_path: str) -> None:
    """The browser is signed in as nobody new: it has to show the account's passkey first."""
    request.session.cycle_key()
    request.session[PENDING_KEY] = {
        "session": session.pk,
        "next": next_path,
        "since": timezone.now().isoformat(),
    }


def pending_sign_in(request: HttpRequest) -> PendingSignIn | None:
    """The sign-in that waits in this browser for the passkey; None after PENDING_LIFETIME."""
    kept = request.session.get(PENDING_KEY)
    if not isinstance(kept, dict):
        return None
    if timezone.now() - datetime.fromisoformat(kept["since"]) > PENDING_LIFETIME:
        return None
    session = OAuthSession.objects.select_related("account").filter(pk=kept["session"]).first()
    return PendingSignIn(session, kept["next"]) if session else None


def sign_out_page(request: HttpRequest) -> None:
    """The page that posts is of somebody else than who is signed in by now: for it nobody is."""
    request.account = request.oauth_session = request.unlocked = None  # type: ignore[attr-defined]
    request.session_is_anothers = True  # type: ignore[attr-defined]


def session_is_anothers(request: HttpRequest) -> bool:
    """Whether somebody is signed in in the browser, but not for the page that posts."""
    return getattr(request, "session_is_anothers", False)


def sign_out_browser(request: HttpRequest) -> None:
    """Forgets everything about this browser; an administrator stays signed in to the admin pages."""
    if STAFF_SESSION_KEY in request.session:
        request.session.pop(OAUTH_SESSION_KEY, None)
        request.session.pop(STATES_KEY, None)
        request.session.pop(PENDING_KEY, None)
        request.session.pop(PASSKEY_KEY, None)
        unlocking.forget(request)
        request.session.cycle_key()
    else:
        request.session.flush()


def remember_state(request: HttpRequest, state: str) -> None:
    states = [*request.session.get(STATES_KEY, []), state]
    request.session[STATES_KEY] = states[-MAX_STATES:]


def states_of(request: HttpRequest) -> list[str]:
    return [str(state) for state in request.session.get(STATES_KEY, [])]


def forget_state(request: HttpRequest, state: str) -> None:
    # A browser that began nothing gets no session for coming back.
    if state in states_of(request):
        request.session[STATES_KEY] = [known for known in states_of(request) if known != state]


def safe_path(path: str) -> str:
    """A path of this installation to go on to, or "" for anything that leads elsewhere."""
    local = path.startswith("/") and len(path) <= 512
    return path if local and url_has_allowed_host_and_scheme(path, allowed_hosts=None) else ""


def signed_in(
    view: Callable[..., Any] | None = None,
    *,
    enrolled: bool = True,
    closing: bool = False,
    when_signed_out: Callable[[HttpRequest], HttpResponse] | None = None,
) -> Callable[..., Any]:
    """Decorates a view (also an async one) that needs a signed-in account, by default an enrolled one.

    Others are sent to the sign-in or welcome pages, and those of an account that is being closed to the page
    that says so, which is the one for ``closing``; htmx requests get 401 with HX-Redirect, so that the whole
    page goes there. ``when_signed_out`` answers instead where that would lose what was written. A page whose
    keys turn out to be locked is made again without them.
    """
    if view is None:
        return functools.partial(
            signed_in, enrolled=enrolled, closing=closing, when_signed_out=when_signed_out
        )
    if iscoroutinefunction(view):

        @functools.wraps(view)
        async def async_wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            elsewhere = _elsewhere(request, enrolled, closing)
            return elsewhere if elsewhere is not None else await view(request, *args, **kwargs)

        return async_wrapped

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if when_signed_out is not None and account_of(request) is None:
            return when_signed_out(request)
        elsewhere = _elsewhere(request, enrolled, closing)
        if elsewhere is not None:
            return elsewhere
        try:
            return view(request, *args, **kwargs)
        except AgentLocked:
            _note_locked(request)
        if request.method in ("GET", "HEAD"):
            return view(request, *args, **kwargs)
        if _is_htmx(request):
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return HttpResponseRedirect("/")

    return wrapped


def _note_locked(request: HttpRequest) -> None:
    """The agent knows better than the browser's session: it was restarted, or locked from elsewhere."""
    account = account_of(request)
    assert account is not None
    unlocking.forget(request)
    Account.objects.filter(pk=account.pk).update(custody=Account.Custody.LOCKED)
    account.custody, account.locked_here = Account.Custody.LOCKED, True
    request.unlocked = None  # type: ignore[attr-defined]


def _elsewhere(request: HttpRequest, enrolled: bool, closing: bool) -> HttpResponseBase | None:
    account = account_of(request)
    if account is None:
        target = reverse("sign-in")
        if request.method == "GET" and not _is_htmx(request):
            target += "?" + urlencode({"next": request.get_full_path()})
    elif account.closing_since is not None and not closing:
        target = reverse("account-erase")
    elif enrolled and account.enrolled_at is None:
        target = reverse("welcome")
    else:
        return None
    if _is_htmx(request):
        return HttpResponse(status=401, headers={"HX-Redirect": target})
    return HttpResponseRedirect(target)


def _is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"
