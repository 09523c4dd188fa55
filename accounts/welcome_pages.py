"""The pages that show what will be published, publish it, and say that it is done."""

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts import enrolment, failures
from accounts.models import Account
from accounts.sessions import account_of, signed_in

logger = logging.getLogger(__name__)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in(enrolled=False)
def welcome(request: HttpRequest) -> HttpResponse:
    """Shows the plan (GET) and publishes it (POST).

    Also for somebody who has revoked their device and wants a new one. Template context: ``plan``
    (enrolment.EnrolmentPlan), ``host``, ``error`` a sentence or "".
    """
    account = _account(request)
    if request.method == "GET":
        if account.enrolled_at is not None and account.devices.active().exists():
            return redirect("devices")
        return _page(request, account)
    try:
        enrolment.enrol(account)
    except failures.PUBLISHING as error:
        logger.warning("publishing for account %s stopped: %s", account.pk, error.code)
        return _page(request, account, error=failures.sentence(error))
    return redirect("welcome-done")


@never_cache
@require_GET
@signed_in
def welcome_done(request: HttpRequest) -> HttpResponse:
    """Says that sealed messages can be received now. Template context: ``device``, ``host``."""
    device = _account(request).devices.active().first()
    return render(request, "accounts/welcome_done.html", {"device": device, "host": settings.PUBLIC_HOST})


def _page(request: HttpRequest, account: Account, *, error: str = "") -> HttpResponse:
    context = {"plan": enrolment.plan(account), "host": settings.PUBLIC_HOST, "error": error}
    return render(request, "accounts/welcome.html", context, status=503 if error else 200)


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
