"""The pages of who can open one's keys: managed or locked, passphrase, passkeys and recovery code."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import failures, sessions, step_up, unlocking, unseen_codes
from accounts.agent import agent
from accounts.models import Account
from accounts.notices import notice_of
from accounts.passkey_fields import NoPasskey, passkey_use_in
from accounts.proof_form import (
    CODE,
    LONGEST_PASSPHRASE,
    PASSKEY,
    PASSPHRASE,
    SHORTEST_PASSPHRASE,
    ProofForm,
    ways_to_open,
)
from accounts.sessions import account_of, signed_in
from crypto_agent.client import AgentError, Custody, Passphrase

logger = logging.getLogger(__name__)


class NewPassphrase(forms.Form):
    """A passphrase typed twice."""

    new = forms.CharField(required=False, strip=False, max_length=LONGEST_PASSPHRASE)
    again = forms.CharField(required=False, strip=False, max_length=LONGEST_PASSPHRASE)

    def check_new(self) -> None:
        """Adds what is wrong with the passphrase to the errors."""
        new, again = self.cleaned_data.get("new", ""), self.cleaned_data.get("again", "")
        if len(new) < SHORTEST_PASSPHRASE:
            self.add_error("new", _("Use at least 12 characters. Four words are a good passphrase."))
        elif new != again:
            self.add_error("again", _("The two differ. Type it once more."))


class LockForm(NewPassphrase):
    """What shall open the lock first: a new passphrase, or a passkey that is there."""

    way = forms.ChoiceField(choices=[(PASSPHRASE, PASSPHRASE), (PASSKEY, PASSKEY)], initial=PASSPHRASE)
    passkey = forms.CharField(required=False)

    def clean(self) -> None:
        super().clean()
        if self.cleaned_data.get("way") != PASSKEY:
            self.check_new()
            return
        try:
            self.cleaned_data["use"] = passkey_use_in(self.cleaned_data.get("passkey", ""))
        except NoPasskey:
            self.add_error("passkey", _("No passkey was used. That needs a browser with script."))


class PassphraseForm(ProofForm, NewPassphrase):
    """Another passphrase, and something that opens the lock now."""

    def clean(self) -> None:
        super().clean()
        self.check_new()


class PasskeyLockForm(ProofForm):
    """A passkey that shall open the lock too, and something that opens it now."""

    added = forms.CharField(required=False)

    def clean(self) -> None:
        super().clean()
        try:
            self.cleaned_data["added_use"] = passkey_use_in(self.cleaned_data.get("added", ""))
        except NoPasskey:
            self.add_error("added", _("No passkey was used. That needs a browser with script."))


@never_cache
@require_safe
@signed_in
def custody(request: HttpRequest) -> HttpResponse:
    """Says who can open the keys, and what can be changed about it.

    Template context: ``custody`` (crypto_agent.client.Custody) or None where the agent does not answer,
    ``passphrase`` its secret of that kind or None, ``lock_passkeys`` the ids of the passkeys that open the
    lock, ``host``, ``code_unseen`` whether a recovery code was made here that nobody has said to have,
    ``notice`` and ``error`` sentences or "".
    """
    account = _account(request)
    unseen_codes.note_written(request)
    found, error = None, ""
    try:
        found = unlocking.note_custody(account)
    except AgentError as failure:
        error = failures.sentence(failure)
    secrets = found.secrets if found else []
    context = {
        "custody": found,
        "passphrase": next((secret for secret in secrets if secret.kind == PASSPHRASE), None),
        "lock_passkeys": [secret.passkey_id for secret in secrets if secret.kind == PASSKEY],
        "host": settings.PUBLIC_HOST,
        "code_unseen": unseen_codes.is_unseen(request, account),
        "notice": notice_of(request),
        "error": error,
    }
    return render(request, "accounts/custody.html", context, status=503 if error else 200)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def make_locked(request: HttpRequest) -> HttpResponse:
    """Asks what shall lock the keys (GET), and locks them (POST): the answer shows the recovery code.

    Template context of the question: ``form``, ``can_use_passkey``, ``host``, ``error`` a sentence or "".
    """
    account, found = _account_and_custody(request)
    if found is None or found.mode == "locked":
        return redirect("custody")
    form = LockForm(request.POST or None)
    more: dict[str, Any] = {"can_use_passkey": can_lock_by_passkey(found), "host": settings.PUBLIC_HOST}
    if request.method == "GET" or not form.is_valid():
        return _step(request, "custody_lock", form, **more)
    try:
        code = lock_keys(request, account, form)
    except AgentError as error:
        return _refused(request, account, "custody_lock", form, error, **more)
    return _code_page(request, account, code, just_locked=True)


def lock_keys(request: HttpRequest, account: Account, form: LockForm) -> str:
    """Locks the keys as a valid form says, and unlocks them in this browser; the first visit asks no more.

    The recovery code, to be shown once. Raises AgentError.
    """
    use = form.cleaned_data.get("use")
    locked = agent().make_locked(
        account.did,
        use or Passphrase(form.cleaned_data["new"]),
        lifetime_s=unlocking.USUAL_LIFETIME_S,
        assertion=None if use else step_up.assertion_of(request),
    )
    Account.objects.filter(pk=account.pk).update(custody=Account.Custody.LOCKED)
    account.custody = Account.Custody.LOCKED
    account.note_welcomed(timezone.now())
    unlocking.keep(request, account, locked.session)
    return locked.recovery_code


def code_shown(request: HttpRequest, account: Account) -> str:
    """A recovery code is in the answer to this request; what its page says once it is written down."""
    written = uuid4().hex
    unseen_codes.note_shown(request, account, written)
    return written


def can_lock_by_passkey(found: Custody) -> bool:
    """Whether a passkey is there that can lock."""
    return any(passkey.prf for passkey in found.passkeys)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def make_managed(request: HttpRequest) -> HttpResponse:
    """Asks whether the lock shall go (GET), and takes it away (POST).

    Template context: ``form``, ``host``, ``error``.
    """
    account, found = _account_and_custody(request)
    if found is None or found.mode == "managed":
        return redirect("custody")
    form = ProofForm(ways_to_open(found), request.POST or None)
    more: dict[str, Any] = {"host": settings.PUBLIC_HOST}
    if request.method == "GET" or not form.is_valid():
        return _step(request, "custody_managed", form, **more)
    try:
        agent().make_managed(account.did, form.secret(), assertion=_assertion(request, form))
    except AgentError as error:
        return _refused(request, account, "custody_managed", form, error, **more)
    Account.objects.filter(pk=account.pk).update(custody=Account.Custody.MANAGED)
    unlocking.forget(request)
    unlocking.note_unlocked(account)
    messages.success(request, _("Your keys are managed. Mail that waited is being opened."))
    return redirect("custody")


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def passphrase(request: HttpRequest) -> HttpResponse:
    """Asks for another passphrase (GET), and sets it (POST). Template context: ``form``."""
    account, found = _account_and_custody(request)
    if found is None or found.mode == "managed":
        return redirect("custody")
    form = PassphraseForm(ways_to_open(found), request.POST or None)
    return _done_with_proof(
        request,
        account,
        "custody_passphrase",
        form,
        lambda: agent().change_passphrase(
            account.did,
            form.secret(),
            Passphrase(form.cleaned_data["new"]),
            assertion=_assertion(request, form),
        ),
        str(_("The passphrase is changed. Other browsers are locked.")),
    )


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def recovery_code(request: HttpRequest) -> HttpResponse:
    """Asks whether to make a new recovery code (GET), and shows it this once (POST).

    Template context: ``managed`` whether it stands for nothing but a lost passkey, ``form``, ``error``.
    """
    account, found = _account_and_custody(request)
    if found is None or (found.mode == "managed" and not found.passkey_required):
        if found is not None:
            # As where the lock was taken away in another browser since the page that led here.
            said = _("Your keys are not locked, so there is no recovery code. Locking them makes one.")
            messages.info(request, said)
        return redirect("custody")
    managed = found.mode == "managed"
    form = ProofForm([PASSKEY] if managed else ways_to_open(found), request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return _step(request, "custody_recovery_code", form, managed=managed)
    try:
        code = agent().new_recovery_code(account.did, form.secret(), assertion=_assertion(request, form))
    except AgentError as error:
        return _refused(request, account, "custody_recovery_code", form, error, managed=managed)
    return _code_page(request, account, code)


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def passkey_lock(request: HttpRequest, passkey_id: str) -> HttpResponse:
    """Lets a passkey open the lock, or no longer. Template context: ``form``, ``passkey``, ``opens_lock``."""
    account, found = _account_and_custody(request)
    if found is None or found.mode == "managed":
        return redirect("custody")
    passkey = next((each for each in found.passkeys if each.passkey_id == passkey_id), None)
    if passkey is None:
        raise Http404
    secret = next((each for each in found.secrets if each.passkey_id == passkey_id), None)
    # Two answers of passkeys in one form would need two questions: the lock is opened another way here.
    ways = [way for way in ways_to_open(found) if way != PASSKEY or secret is not None]
    form = (ProofForm if secret else PasskeyLockForm)(ways, request.POST or None)

    def change() -> None:
        assertion = _assertion(request, form)
        if secret is not None:
            agent().remove_lock_secret(account.did, form.secret(), secret.secret_id, assertion=assertion)
        else:
            agent().add_lock_secret(account.did, form.secret(), form.cleaned_data["added_use"])

    said = _("The passkey opens your keys no longer.") if secret else _("The passkey opens your keys now.")
    return _done_with_proof(
        request, account, "passkey_lock", form, change, str(said), passkey=passkey, opens_lock=bool(secret)
    )


@never_cache
@require_http_methods(["GET", "POST"])
@signed_in
def sign_in_passkey(request: HttpRequest) -> HttpResponse:
    """Asks whether signing in shall need a passkey, or no longer (GET), and sets it (POST).

    Template context: ``required`` whether it does now, ``form``, ``error``.
    """
    account, found = _account_and_custody(request)
    if found is None or not (found.passkeys or found.passkey_required):
        return redirect("custody")
    ways = [PASSKEY, CODE] if found.passkey_required and found.recovery_code_at else [PASSKEY]
    form = ProofForm(ways, request.POST or None)
    more: dict[str, Any] = {"required": found.passkey_required}
    if request.method == "GET" or not form.is_valid():
        return _step(request, "custody_sign_in", form, **more)
    proof = form.secret()
    assert not isinstance(proof, Passphrase)
    try:
        code = agent().require_passkey(account.did, not found.passkey_required, proof)
        unlocking.note_custody(account)
    except AgentError as error:
        return _refused(request, account, "custody_sign_in", form, error, **more)
    sessions.note_passkey(request)
    if code is not None:
        return _code_page(request, account, code)
    said = (
        _("Signing in needs no passkey now.") if found.passkey_required else _("Signing in needs a passkey.")
    )
    messages.success(request, said)
    return redirect("custody")


def _done_with_proof(
    request: HttpRequest,
    account: Account,
    template: str,
    form: ProofForm,
    change: Callable[[], object],
    said: str,
    **more: Any,
) -> HttpResponse:
    """The question, or the outcome of the change that it asks about."""
    if request.method == "GET" or not form.is_valid():
        return _step(request, template, form, **more)
    try:
        change()
    except AgentError as error:
        return _refused(request, account, template, form, error, **more)
    messages.success(request, said)
    return redirect("custody")


def _assertion(request: HttpRequest, form: ProofForm) -> dict[str, Any] | None:
    # A passkey given as proof counts for both.
    return None if form.cleaned_data["way"] == PASSKEY else step_up.assertion_of(request)


def _code_page(
    request: HttpRequest, account: Account, code: str, *, just_locked: bool = False
) -> HttpResponse:
    context = {"code": code, "written": code_shown(request, account), "just_locked": just_locked}
    return render(request, "accounts/custody_code.html", context)


def _refused(
    request: HttpRequest, account: Account, template: str, form: forms.Form, error: AgentError, **more: Any
) -> HttpResponse:
    step_up.note(account, error)
    logger.info("a change of custody of account %s stopped: %s", account.pk, error.code)
    return _step(request, template, form, error=failures.sentence(error), **more)


def _step(
    request: HttpRequest, template: str, form: forms.Form, *, error: str = "", **more: Any
) -> HttpResponse:
    context = {"form": form, "error": error, **more}
    status = 422 if error or form.errors else 200
    return render(request, f"accounts/{template}.html", context, status=status)


def _account_and_custody(request: HttpRequest) -> tuple[Account, Custody | None]:
    """The account and what the agent says of it; None, with the reason among the messages, if nothing."""
    account = account_of(request)
    assert account is not None
    try:
        return account, unlocking.note_custody(account)
    except AgentError as error:
        messages.warning(request, failures.sentence(error))
        return account, None


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
