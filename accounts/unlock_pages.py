"""The pages of unlocking one's keys for a browser, and of locking them again."""

import logging

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import failures, sessions, unlocking
from accounts.models import Account
from accounts.proof_form import ProofForm, ways_to_open
from accounts.sessions import account_of, signed_in
from crypto_agent.client import AgentError, Custody

logger = logging.getLogger(__name__)

LIFETIMES = {
    900: _("15 minutes"),
    3600: _("an hour"),
    28_800: _("8 hours"),
    86_400: _("a day"),
    604_800: _("a week"),
}


class UnlockForm(ProofForm):
    """A way to open the lock, and for how long."""

    lifetime_s = forms.TypedChoiceField(
        choices=list(LIFETIMES.items()), coerce=int, initial=unlocking.USUAL_LIFETIME_S
    )


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def unlock(request: HttpRequest) -> HttpResponse:
    """Asks for what opens the keys (GET), and opens them for this browser (POST).

    Template context: ``form`` (UnlockForm) or None where the agent does not answer, ``lifetimes``, ``next`` a
    path, ``wait_until`` until when no passphrase is looked at or None, ``error`` a sentence or "".
    """
    account = _account(request)
    next_path = sessions.safe_path(request.POST.get("next") or request.GET.get("next", ""))
    try:
        custody = unlocking.note_custody(account)
    except AgentError as error:
        return _page(request, None, next_path, error=error)
    if custody.mode == "managed" or (custody.unlocked and request.method == "GET"):
        return redirect(next_path or "inbox")
    form = UnlockForm(ways_to_open(custody), request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return _page(request, form, next_path, custody=custody)
    try:
        unlocking.unlock(request, account, form.secret(), lifetime_s=form.cleaned_data["lifetime_s"])
    except AgentError as error:
        logger.info("account %s was not unlocked: %s", account.pk, error.code)
        return _page(request, form, next_path, custody=custody, error=error)
    return redirect(next_path or "inbox")


@never_cache
@require_POST
@signed_in
def lock(request: HttpRequest) -> HttpResponse:
    """Locks the keys in all browsers at once."""
    account = _account(request)
    try:
        unlocking.lock(request, account, everywhere=True)
    except AgentError as error:
        logger.warning("locking account %s stopped: %s", account.pk, error.code)
        unlocking.forget(request)
        messages.warning(request, failures.sentence(error))
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(headers={"HX-Redirect": reverse("inbox")})
    return redirect("inbox")


@never_cache
@require_GET
@signed_in
def lock_state(request: HttpRequest) -> HttpResponse:
    """The line that says that the keys are locked, for pages that are open; empty when they are not."""
    return render(request, "accounts/_lock_state.html")


def _page(
    request: HttpRequest,
    form: UnlockForm | None,
    next_path: str,
    *,
    custody: Custody | None = None,
    error: AgentError | None = None,
) -> HttpResponse:
    waits = custody.wait_until if custody and custody.wait_until else None
    context = {
        "form": form,
        "lifetimes": LIFETIMES.items(),
        "next": next_path,
        "wait_until": waits if waits and waits > timezone.now() else None,
        "error": failures.sentence(error) if error else "",
    }
    status = 503 if form is None else 422 if error or form.errors else 200
    return render(request, "accounts/unlock.html", context, status=status)


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
