"""The page of the browsers in which one is signed in, and signing them out."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import browsers, sessions
from accounts.models import Account
from accounts.notices import notice_of
from accounts.sessions import account_of, signed_in


@never_cache
@require_safe
@signed_in(enrolled=False)
def signed_in_browsers(request: HttpRequest) -> HttpResponse:
    """Lists them.

    Template context: ``browsers`` (accounts.browsers.Browser), the one that asks first, ``notice`` a sentence
    or "".
    """
    here = getattr(request, "oauth_session", None)
    context = {
        "browsers": browsers.signed_in_browsers(_account(request), here),
        "notice": notice_of(request),
    }
    return render(request, "accounts/browsers.html", context)


@require_POST
@signed_in(enrolled=False)
def sign_out(request: HttpRequest, session_pk: int) -> HttpResponse:
    """Signs one of them out; who signs out the one that asks goes to the sign-in page."""
    here = getattr(request, "oauth_session", None)
    if not browsers.sign_out(_account(request), session_pk):
        raise Http404
    if here is not None and here.pk == session_pk:
        return _signed_out(request)
    messages.success(request, _("That browser is signed out."))
    return redirect("browsers")


@require_POST
@signed_in(enrolled=False)
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """Signs all of them out, the one that asks as well."""
    browsers.sign_out_everywhere(_account(request))
    return _signed_out(request)


def _signed_out(request: HttpRequest) -> HttpResponse:
    sessions.sign_out_browser(request)
    return redirect("sign-in")


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
