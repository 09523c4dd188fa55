"""The pages of the apps that may have things done with one's keys: a list, allowing one, revoking one."""

import logging
from datetime import timedelta

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts import failures, step_up
from accounts.agent import agent
from accounts.models import Account
from accounts.notices import notice_of
from accounts.sessions import account_of, signed_in
from crypto_agent.client import AgentError, Grant, Grants

logger = logging.getLogger(__name__)

#: What an app may be allowed, least first, in the agent's words.
PURPOSES = ("status", "attest", "sign", "seal", "open")
DAYS = {7: _("A week"), 30: _("A month"), 90: _("Three months"), 365: _("A year")}
LIMITS = {20: _("20 an hour"), 100: _("100 an hour"), 1000: _("1000 an hour")}
LONGEST_NAME = 100


class AppForm(forms.Form):
    """What somebody wants to allow which app."""

    name = forms.CharField(max_length=LONGEST_NAME, error_messages={"required": _("Give the app a name.")})
    purposes = forms.MultipleChoiceField(
        choices=[(purpose, purpose) for purpose in PURPOSES],
        error_messages={"required": _("Tick at least one thing that the app may do.")},
    )
    open_understood = forms.BooleanField(required=False)
    days = forms.TypedChoiceField(choices=list(DAYS.items()), coerce=int, initial=30)
    hourly_limit = forms.TypedChoiceField(choices=list(LIMITS.items()), coerce=int, initial=100)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if len(name.encode()) > LONGEST_NAME:
            raise forms.ValidationError(_("Use a shorter name."))
        return name

    def clean(self) -> None:
        super().clean()
        if "open" in self.cleaned_data.get("purposes", ()) and not self.cleaned_data.get("open_understood"):
            self.add_error(
                "open_understood", _("Opening messages needs this tick too. Or leave opening out.")
            )


@never_cache
@require_GET
@signed_in
def apps(request: HttpRequest) -> HttpResponse:
    """Lists the apps that may use the account's keys.

    Template context: ``active`` and ``ended`` lists of crypto_agent.client.Grant, newest first, ``service``
    what apps call or None where the agent serves none, ``known`` whether the agent answered, ``pds``,
    ``notice`` and ``error`` sentences or "".
    """
    account = _account(request)
    error, found = "", Grants(None, [])
    try:
        found = agent().list_grants(account.did)
    except AgentError as failure:
        error = failures.sentence(failure)
    now = timezone.now()
    active = [grant for grant in found.grants if grant.revoked_at is None and grant.expires_at > now]
    context = {
        "active": active,
        "ended": [grant for grant in found.grants if grant not in active],
        "service": found.service,
        "known": not error,
        "pds": account.pds_url,
        "notice": notice_of(request),
        "error": error,
    }
    return render(request, "accounts/apps.html", context, status=503 if error else 200)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def app_new(request: HttpRequest) -> HttpResponse:
    """Asks what an app may do (GET), and allows it (POST): the answer shows the app's token this once.

    Template context of the question: ``form``, ``pds``, ``error`` a sentence or ""; of the answer: ``grant``,
    ``token``, ``service``, ``pds``.
    """
    account = _account(request)
    form = AppForm(request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return _new_page(request, account, form)
    wanted = form.cleaned_data
    try:
        service = agent().list_grants(account.did).service
        if service is None:
            return redirect("apps")
        made = agent().create_grant(
            account.did,
            wanted["name"],
            wanted["purposes"],
            expires_at=timezone.now() + timedelta(days=wanted["days"]),
            hourly_limit=wanted["hourly_limit"],
            assertion=step_up.assertion_of(request),
        )
    except AgentError as error:
        step_up.note(account, error)
        logger.warning("allowing an app for account %s stopped: %s", account.pk, error.code)
        return _new_page(request, account, form, error=failures.sentence(error))
    context = {"grant": made.grant, "token": made.token, "service": service, "pds": account.pds_url}
    return render(request, "accounts/app_made.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def app_revoke(request: HttpRequest, grant_id: str) -> HttpResponse:
    """Asks whether to revoke (GET), and revokes (POST).

    Template context: ``grant``.
    """
    account = _account(request)
    try:
        grant = _grant(account, grant_id)
        if grant.revoked_at is not None:
            return redirect("apps")
        if request.method == "POST":
            agent().revoke_grant(account.did, grant.grant_id)
            messages.success(request, _("The app may do nothing more with your keys."))
            return redirect("apps")
    except AgentError as error:
        logger.warning("revoking an app of account %s stopped: %s", account.pk, error.code)
        messages.warning(request, failures.sentence(error))
        return redirect("apps")
    return render(request, "accounts/app_revoke.html", {"grant": grant})


def _new_page(request: HttpRequest, account: Account, form: AppForm, *, error: str = "") -> HttpResponse:
    context = {"form": form, "pds": account.pds_url, "error": error}
    return render(request, "accounts/app_new.html", context, status=503 if error else 200)


def _grant(account: Account, grant_id: str) -> Grant:
    for grant in agent().list_grants(account.did).grants:
        if grant.grant_id == grant_id:
            return grant
    raise Http404


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
