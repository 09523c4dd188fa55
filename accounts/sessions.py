"""Which account a browser is signed in to, and views that need one."""

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import iscoroutinefunction
from django.contrib.auth import SESSION_KEY as STAFF_SESSION_KEY
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.models import Account, OAuthSession

#: In the browser's session: the id of its OAuthSession, and the states of sign-ins begun in it.
OAUTH_SESSION_KEY = "oauth_session"
STATES_KEY = "oauth_states"
#: Sign-ins that one browser may have open at once (in several tabs).
MAX_STATES = 5


class SignedInAccount(MiddlewareMixin):
    """Sets ``request.account`` and ``request.oauth_session`` (both None when nobody is signed in).

    A browser is signed in for as long as its OAuth session lives: the person's server can end both.
    """

    def process_request(self, request: HttpRequest) -> None:
        session_id = request.session.get(OAUTH_SESSION_KEY)
        session = None
        if session_id is not None:
            session = OAuthSession.objects.select_related("account").filter(pk=session_id).first()
        request.oauth_session = session  # type: ignore[attr-defined]
        request.account = session.account if session else None  # type: ignore[attr-defined]


def account_of(request: HttpRequest) -> Account | None:
    """The signed-in account, typed; None when nobody is signed in."""
    account: Account | None = getattr(request, "account", None)
    return account


def sign_in_browser(request: HttpRequest, session: OAuthSession) -> None:
    """Binds the browser to a session, under a new session key so that an older one gains nothing."""
    request.session.cycle_key()
    request.session[OAUTH_SESSION_KEY] = session.pk


def sign_out_browser(request: HttpRequest) -> None:
    """Forgets everything about this browser; an administrator stays signed in to the admin pages."""
    if STAFF_SESSION_KEY in request.session:
        request.session.pop(OAUTH_SESSION_KEY, None)
        request.session.pop(STATES_KEY, None)
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


def signed_in(view: Callable[..., Any] | None = None, *, enrolled: bool = True) -> Callable[..., Any]:
    """Decorates a view (also an async one) that needs a signed-in account, by default an enrolled one.

    Others are sent to the sign-in or welcome pages; htmx requests get 401 with HX-Redirect, so that the whole
    page goes there.
    """
    if view is None:
        return functools.partial(signed_in, enrolled=enrolled)
    if iscoroutinefunction(view):

        @functools.wraps(view)
        async def async_wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            elsewhere = _elsewhere(request, enrolled)
            return elsewhere if elsewhere is not None else await view(request, *args, **kwargs)

        return async_wrapped

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        elsewhere = _elsewhere(request, enrolled)
        return elsewhere if elsewhere is not None else view(request, *args, **kwargs)

    return wrapped


def _elsewhere(request: HttpRequest, enrolled: bool) -> HttpResponseBase | None:
    account = account_of(request)
    if account is None:
        target = reverse("sign-in")
        if request.method == "GET" and not _is_htmx(request):
            target += "?" + urlencode({"next": request.get_full_path()})
    elif enrolled and account.enrolled_at is None:
        target = reverse("welcome")
    else:
        return None
    if _is_htmx(request):
        return HttpResponse(status=401, headers={"HX-Redirect": target})
    return HttpResponseRedirect(target)


def _is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"
