"""The pages of one's passkeys: adding and removing one, and what a page's script asks for."""

import logging
from typing import get_args

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import failures, sessions, step_up, unlocking
from accounts.agent import agent
from accounts.models import Account
from accounts.passkey_fields import NoPasskey, credential_in
from accounts.sessions import account_of, signed_in
from crypto_agent.client import AgentError, Passkey, PasskeyChallengePurpose

logger = logging.getLogger(__name__)

#: What a page may ask the passkey of a signed-in account for.
PURPOSES: tuple[PasskeyChallengePurpose, ...] = tuple(
    purpose for purpose in get_args(PasskeyChallengePurpose) if purpose != "sign-in"
)
LONGEST_NAME = 64
ONLY_CONFIRMS = _(
    "The passkey is kept. It can confirm that it is you, but it cannot lock your keys: your device or "
    "browser lacks what that needs."
)


class PasskeyForm(forms.Form):
    """A new passkey: what its owner calls it, and what the browser made."""

    name = forms.CharField(
        max_length=LONGEST_NAME, error_messages={"required": _("Give the passkey a name.")}
    )
    passkey = forms.CharField(required=False)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if len(name.encode()) > LONGEST_NAME:
            raise forms.ValidationError(_("Use a shorter name."))
        return name

    def clean_passkey(self) -> object:
        try:
            return credential_in(self.cleaned_data["passkey"])
        except NoPasskey:
            raise forms.ValidationError(_("No passkey was made. That needs a browser with script.")) from None


@never_cache
@require_POST
def challenge(request: HttpRequest) -> JsonResponse:
    """What a passkey is to confirm, as PublicKeyCredentialRequestOptionsJSON; else ``error``, a sentence.

    For a browser that is signed in, or for one that has only its passkey left to show (``sign-in``).
    """
    purpose = request.POST.get("purpose", "")
    if purpose == "sign-in":
        pending = sessions.pending_sign_in(request)
        did, wanted = (pending.session.account.did, "sign-in") if pending else ("", "")
    else:
        account = account_of(request)
        did = account.did if account else ""
        wanted = next((each for each in PURPOSES if each == purpose), "")
    if not did or not wanted:
        return JsonResponse({"error": str(_("This page is too old. Load it again."))}, status=403)
    try:
        return JsonResponse(agent().passkey_challenge(did, wanted))  # type: ignore[arg-type]
    except AgentError as error:
        return _not_now(error)


@never_cache
@require_POST
def begin(request: HttpRequest) -> JsonResponse:
    """What a new passkey is to be made from, as PublicKeyCredentialCreationOptionsJSON; else ``error``."""
    account = account_of(request)
    if account is None:
        return JsonResponse({"error": str(_("This page is too old. Load it again."))}, status=403)
    try:
        return JsonResponse(agent().begin_passkey(account.did, account.handle))
    except AgentError as error:
        return _not_now(error)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def passkey_new(request: HttpRequest) -> HttpResponse:
    """Asks for the name of a passkey to be made (GET), and keeps it (POST); then it leads to ``next``.

    Template context: ``form``, ``error`` a sentence or "".
    """
    account = _account(request)
    form = PasskeyForm(request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return _new_page(request, form)
    try:
        assertion = step_up.assertion_of(request)
        made = agent().add_passkey(
            account.did, form.cleaned_data["name"], form.cleaned_data["passkey"], assertion=assertion
        )
    except AgentError as error:
        step_up.note(account, error)
        logger.info("a passkey of account %s was not kept: %s", account.pk, error.code)
        return _new_page(request, form, error=failures.sentence(error))
    messages.success(request, _("The passkey is kept.") if made.prf else ONLY_CONFIRMS)
    return redirect(sessions.safe_path(request.GET.get("next", "")) or "custody")


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def passkey_remove(request: HttpRequest, passkey_id: str) -> HttpResponse:
    """Asks whether to remove a passkey (GET), and removes it (POST).

    Template context: ``passkey``, ``opens_lock`` whether it opens the lock, ``error`` a sentence or "".
    """
    account = _account(request)
    try:
        custody = unlocking.note_custody(account)
    except AgentError as failure:
        messages.warning(request, failures.sentence(failure))
        return redirect("custody")
    passkey = _passkey(custody.passkeys, passkey_id)
    error = ""
    if request.method == "POST":
        try:
            agent().remove_passkey(account.did, passkey_id, assertion=step_up.assertion_of(request))
            messages.success(request, _("The passkey is removed here. You may delete it on your device too."))
            return redirect("custody")
        except AgentError as failure:
            step_up.note(account, failure)
            error = failures.sentence(failure)
    context = {
        "passkey": passkey,
        "opens_lock": any(secret.passkey_id == passkey_id for secret in custody.secrets),
        "error": error,
    }
    return render(request, "accounts/passkey_remove.html", context, status=422 if error else 200)


def _new_page(request: HttpRequest, form: PasskeyForm, *, error: str = "") -> HttpResponse:
    status = 422 if error or form.errors else 200
    return render(request, "accounts/passkey_new.html", {"form": form, "error": error}, status=status)


def _passkey(passkeys: list[Passkey], passkey_id: str) -> Passkey:
    for passkey in passkeys:
        if passkey.passkey_id == passkey_id:
            return passkey
    raise Http404


def _not_now(error: AgentError) -> JsonResponse:
    return JsonResponse({"error": failures.sentence(error)}, status=503)


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
