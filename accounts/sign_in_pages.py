"""The pages of signing in and out, and what this installation shows of itself to authorization servers."""

import logging

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import enrolment, oauth, oauth_client, profiles, sessions
from accounts.identities import IdentityError
from accounts.models import Account, OAuthSession
from accounts.oauth import SignInError
from accounts.pds import PdsError, SignInAgain
from accounts.repositories import RepositoryError

logger = logging.getLogger(__name__)


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Asks for a handle, and goes on to the person's own server.

    Template context: ``handle`` as typed, ``error`` a sentence or "", ``error_code``, ``host``, ``next``; the
    page that leads on has ``authorization_url`` and ``server``.
    """
    next_path = sessions.safe_path(request.POST.get("next") or request.GET.get("next", ""))
    if request.method == "GET":
        if sessions.account_of(request) is not None:
            return redirect(next_path or "/")
        return _sign_in_page(request, next_path=next_path)
    typed = request.POST.get("handle", "")[:2048]
    if not typed.strip():
        error = SignInError("not-a-handle", "Type your handle first. It looks like a web address.")
        return _sign_in_page(request, error=error, next_path=next_path)
    try:
        begun = oauth.begin(typed, next_path=next_path)
    except SignInError as error:
        return _sign_in_page(request, handle=typed, error=error, next_path=next_path)
    sessions.remember_state(request, begun.state)
    # A page that leads on, because "form-action 'self'" keeps browsers from following a redirect elsewhere.
    context = {"authorization_url": begun.url, "server": begun.server}
    return render(request, "accounts/sign_in_continue.html", context)


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Where the person's server sends the browser back to."""
    parameters = {name: request.GET[name] for name in request.GET}
    try:
        session, next_path = oauth.finish(parameters, sessions.states_of(request))
    except SignInError as error:
        logger.info("a sign-in ended: %s", error.code)
        return _sign_in_page(request, error=error)
    finally:
        sessions.forget_state(request, parameters.get("state", ""))
    _end_former_session(request)
    sessions.sign_in_browser(request, session)
    _catch_up(session.account)
    if session.account.enrolled_at is None:
        return redirect("welcome")
    return redirect(next_path or "/")


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session at the person's server and here."""
    session: OAuthSession | None = getattr(request, "oauth_session", None)
    if session is not None and not oauth.revoke(session):
        logger.warning("%s could not be told of a sign-out", session.issuer)
    sessions.sign_out_browser(request)
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(headers={"HX-Redirect": reverse("sign-in")})
    return redirect("sign-in")


@require_GET
def client_metadata(request: HttpRequest) -> JsonResponse:
    """The metadata of the confidential client; a loopback client has none."""
    if not oauth_client.is_confidential():
        raise Http404
    return JsonResponse(oauth_client.metadata())


@require_GET
def jwks(request: HttpRequest) -> JsonResponse:
    """The confidential client's public key."""
    if not oauth_client.is_confidential():
        raise Http404
    return JsonResponse(oauth_client.jwks())


def _sign_in_page(
    request: HttpRequest, *, handle: str = "", error: SignInError | None = None, next_path: str = ""
) -> HttpResponse:
    context = {
        "handle": handle,
        "error": str(error) if error else "",
        "error_code": error.code if error else "",
        "host": settings.PUBLIC_HOST,
        "next": next_path,
    }
    return render(request, "accounts/sign_in.html", context, status=400 if error else 200)


def _end_former_session(request: HttpRequest) -> None:
    """Signing in again replaces what this browser had; the server need not keep both."""
    former: OAuthSession | None = getattr(request, "oauth_session", None)
    if former is not None:
        oauth.revoke(former)


def _catch_up(account: Account) -> None:
    """What had to wait for the person's session, or is worth knowing now; none of it stops a sign-in."""
    try:
        profiles.profile_of(account.did)
        enrolment.finish_withdrawals(account)
    except (IdentityError, SignInAgain, PdsError, RepositoryError, enrolment.PublicationError) as error:
        logger.warning("after a sign-in: %s", error.code)
