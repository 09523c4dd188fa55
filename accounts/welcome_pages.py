"""The first visit in three steps: what is published, who can read what, and that it is done.

Each step is an address of its own. Who stops comes back to the step that is left when they sign in again, and
meanwhile finds everything else open to them.
"""

import logging
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from accounts import enrolment, failures, own_entries, step_up, unlocking, unseen_codes
from accounts.custody_pages import LockForm, can_lock_by_passkey, code_shown, lock_keys
from accounts.models import Account
from accounts.notices import notice_of
from accounts.peers import PeerError
from accounts.sessions import account_of, signed_in
from crypto_agent.client import AgentError, AgentLocked, Custody

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
            return redirect("devices" if account.welcomed_at else "welcome-lock")
        return _page(request, account)
    try:
        enrolment.enrol(account, assertion=step_up.assertion_of(request))
    except AgentLocked:
        return redirect(f"{reverse('unlock')}?{urlencode({'next': reverse('welcome')})}")
    except failures.PUBLISHING as error:
        step_up.note(account, error)
        logger.warning("publishing for account %s stopped: %s", account.pk, error.code)
        return _page(request, account, error=failures.sentence(error))
    try:
        # What is there from the beginning is known; what comes later is told.
        own_entries.audit(account)
    except PeerError as error:
        logger.info("what account %s publishes could not be read: %s", account.pk, error.code)
    return redirect(f"{reverse('welcome-done')}?again" if account.welcomed_at else "welcome-lock")


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@signed_in
def welcome_lock(request: HttpRequest) -> HttpResponse:
    """Says who can read what, and offers to lock the keys (GET); locks them, or puts that off (POST).

    Template context: ``form`` (custody_pages.LockForm), ``custody`` or None where the agent does not answer,
    ``can_use_passkey``, ``host``, ``code_unseen`` as in custody_pages, ``notice`` and ``error``
    sentences or "".
    """
    account = _account(request)
    if request.method == "POST" and "later" in request.POST:
        account.note_welcomed(timezone.now())
        return redirect("welcome-done")
    form = LockForm(request.POST or None)
    try:
        found = unlocking.note_custody(account)
        if request.method == "GET" or found.mode == "locked" or not form.is_valid():
            return _lock_page(request, form, found)
        code = lock_keys(request, account, form)
    except AgentError as error:
        step_up.note(account, error)
        logger.info("locking account %s at its first visit stopped: %s", account.pk, error.code)
        return _lock_page(request, form, None, error=failures.sentence(error))
    context = {"code": code, "written": code_shown(request, account)}
    return render(request, "accounts/welcome_code.html", context)


@never_cache
@require_GET
@signed_in
def welcome_done(request: HttpRequest) -> HttpResponse:
    """Says that sealed messages can be received now. Template context: ``device``, ``host``, ``again``
    whether this was no first visit."""
    unseen_codes.note_written(request)
    device = _account(request).devices.active().first()
    context = {"device": device, "host": settings.PUBLIC_HOST, "again": "again" in request.GET}
    return render(request, "accounts/welcome_done.html", context)


def _page(request: HttpRequest, account: Account, *, error: str = "") -> HttpResponse:
    context = {"plan": enrolment.plan(account), "host": settings.PUBLIC_HOST, "error": error}
    return render(request, "accounts/welcome.html", context, status=503 if error else 200)


def _lock_page(
    request: HttpRequest, form: LockForm, found: Custody | None, *, error: str = ""
) -> HttpResponse:
    context = {
        "form": form,
        "custody": found,
        "code_unseen": unseen_codes.is_unseen(request, _account(request)),
        "can_use_passkey": found is not None and can_lock_by_passkey(found),
        "host": settings.PUBLIC_HOST,
        "notice": notice_of(request),
        "error": error,
    }
    status = 503 if error else 422 if form.errors else 200
    return render(request, "accounts/welcome_lock.html", context, status=status)


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
