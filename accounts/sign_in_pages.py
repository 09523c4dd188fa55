"""The pages of signing in and out, and what this installation shows of itself to authorization servers."""

import logging
from collections.abc import Mapping

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import (
    browsers,
    enrolment,
    failures,
    oauth,
    oauth_client,
    profiles,
    rate_limits,
    sessions,
    unlocking,
)
from accounts.agent import agent
from accounts.identities import IdentityError
from accounts.models import Account, OAuthSession
from accounts.oauth import SignInError
from accounts.passkey_fields import NoPasskey, credential_in
from accounts.pds import PdsError, SignInAgain
from accounts.proof_form import LONGEST_CODE
from accounts.repositories import RepositoryError
from crypto_agent.client import AgentError, RecoveryCode

logger = logging.getLogger(__name__)

#: Codes of IdentityError for which whoever signs in may have mistyped the handle, or needs another one.
_OF_THE_HANDLE = ("not-a-handle", "handle-not-found", "did-not-found", "handle-mismatch", "no-pds")


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Asks for a handle, and goes on to the person's own server.

    Template context: ``handle`` as typed, ``error`` a sentence or "", ``error_code``, ``handle_wrong``
    whether it is the handle that is wrong, ``host``, ``next``; the page that leads on has
    ``authorization_url`` and ``server``.
    """
    next_path = sessions.safe_path(request.POST.get("next") or request.GET.get("next", ""))
    if request.method == "GET":
        if sessions.account_of(request) is not None:
            return redirect(next_path or "/")
        return _sign_in_page(request, next_path=next_path)
    typed = request.POST.get("handle", "")[:2048]
    if not typed.strip():
        error = SignInError("not-a-handle", _("Type your handle first. It looks like a web address."))
        return _sign_in_page(request, error=error, next_path=next_path)
    try:
        rate_limits.take_sign_in(request)
    except rate_limits.TooOften as too_often:
        error = SignInError("too-often", rate_limits.tried_too_often(too_often))
        page = _sign_in_page(request, handle=typed, error=error, next_path=next_path)
        return rate_limits.refused(page, too_often)
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
    if _needs_passkey(session.account):
        sessions.begin_pending(request, session, next_path)
        return redirect("sign-in-passkey")
    return _signed_in(request, session, next_path)


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in_passkey(request: HttpRequest) -> HttpResponse:
    """Asks for the passkey of an account that requires one, or for its recovery code.

    Template context: ``handle``, ``known`` whether the agent said that the account requires a passkey,
    ``error`` a sentence or "".
    """
    pending = sessions.pending_sign_in(request)
    if pending is None:
        return redirect("sign-in")
    account = pending.session.account
    error = ""
    try:
        if not unlocking.note_custody(account).passkey_required:
            return _signed_in(request, pending.session, pending.next_path)
        if request.method == "POST":
            next_path = _confirm(account, request.POST) or pending.next_path
            return _signed_in(request, pending.session, next_path)
    except AgentError as failure:
        logger.info("a passkey did not confirm a sign-in: %s", failure.code)
        error = failures.sentence(failure)
    except NoPasskey:
        error = str(_("No passkey was used. That needs a browser with script."))
    context = {"handle": account.handle, "known": account.custody_checked_at is not None, "error": error}
    return render(request, "accounts/sign_in_passkey.html", context, status=422 if error else 200)


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session at the person's server and here; that of an account being closed is still needed.

    A page of somebody who was signed in before ends nothing of whoever is by now.
    """
    if sessions.session_is_anothers(request):
        return redirect("sign-in")
    session: OAuthSession | None = getattr(request, "oauth_session", None)
    if session is not None:
        browsers.signed_out.send(sender=OAuthSession, session=session)
        unlocking.end_quietly(request.session, session.account)
    needed = session is not None and session.account.closing_since is not None
    if session is not None and not needed and not oauth.revoke(session):
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
        "handle_wrong": error is not None and error.code in _OF_THE_HANDLE,
        "host": settings.PUBLIC_HOST,
        "next": next_path,
    }
    return render(request, "accounts/sign_in.html", context, status=400 if error else 200)


def _needs_passkey(account: Account) -> bool:
    """Whether more than the person's server has to vouch for a browser.

    Where the agent cannot say, what it said last counts; where it never did, the browser has to wait for it.
    """
    try:
        return unlocking.note_custody(account).passkey_required
    except AgentError as error:
        logger.warning("whether account %s requires a passkey is not known now: %s", account.pk, error.code)
        return account.passkey_required or account.custody_checked_at is None


def _confirm(account: Account, fields: Mapping[str, str]) -> str:
    """Returns if the passkey, or the recovery code, is the account's. Raises AgentError or NoPasskey.

    The recovery code ends the requirement, and leads to the page that says so.
    """
    if code := fields.get("code", "").strip()[:LONGEST_CODE]:
        agent().require_passkey(account.did, False, RecoveryCode(code))
        unlocking.note_custody(account)
        return reverse("custody")
    agent().confirm_passkey(account.did, credential_in(fields.get("passkey", "")))
    return ""


def _signed_in(request: HttpRequest, session: OAuthSession, next_path: str) -> HttpResponse:
    former: OAuthSession | None = getattr(request, "oauth_session", None)
    if former is not None:
        unlocking.end_quietly(request.session, former.account)
        oauth.tell_ended(former)
    _catch_up(session.account)
    sessions.sign_in_browser(request, session)
    if session.account.passkey_required:
        sessions.note_passkey(request)
    if former is not None:
        _replace(former, session)
    # Who stopped on their first visit goes on with it, unless they are on their way somewhere.
    on_the_way = next_path not in ("", "/")
    if session.account.enrolled_at is None or (session.account.welcomed_at is None and not on_the_way):
        return redirect("welcome")
    return redirect(next_path or "/")


def _replace(former: OAuthSession, session: OAuthSession) -> None:
    """Signing in again replaces what this browser had; the server need not keep both.

    Last of all, since the browser's other tabs learn of it: until the answer is there, they have no other
    session.
    """
    browsers.signed_in_again.send(sender=OAuthSession, former=former, session=session)
    former.delete()


def _catch_up(account: Account) -> None:
    """What had to wait for the person's session, or is worth knowing now; none of it stops a sign-in."""
    try:
        profiles.profile_of(account.did)
        enrolment.finish_withdrawals(account)
    except (IdentityError, SignInAgain, PdsError, RepositoryError, enrolment.PublicationError) as error:
        logger.warning("after a sign-in: %s", error.code)
