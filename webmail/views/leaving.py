"""The pages of moving an account to another server or from one, and of erasing it."""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import enrolment, failures, step_up
from accounts.agent import agent
from accounts.models import Account
from accounts.proof_form import LONGEST_PASSPHRASE, SHORTEST_PASSPHRASE
from accounts.repositories import RepositoryError
from accounts.sessions import account_of, sign_out_browser, signed_in
from crypto_agent.client import AgentError
from webmail import account_erasure, account_export, account_import, queues
from webmail.export_file import ExportFileError
from webmail.mailbox import MailboxError
from webmail.models import AccountImport
from webmail.views.downloads import NoTurn, no_turn, turn_of
from webmail.views.page_request import PageRequest

log = logging.getLogger(__name__)

#: In the browser's session: the account that it saw being closed.
CLOSING_KEY = "saw_account_closing"


class ExportForm(forms.Form):
    """The passphrase of an export, typed twice."""

    passphrase = forms.CharField(
        min_length=SHORTEST_PASSPHRASE,
        max_length=LONGEST_PASSPHRASE,
        strip=False,
        error_messages={
            "required": gettext_lazy("Choose a passphrase."),
            "min_length": gettext_lazy("Use at least 12 characters. Several words are easier to remember."),
            "max_length": gettext_lazy("That is too long for a passphrase."),
        },
    )
    again = forms.CharField(required=False, strip=False)

    def clean(self) -> None:
        super().clean()
        chosen = self.cleaned_data.get("passphrase")
        if chosen is not None and chosen != self.cleaned_data.get("again"):
            self.add_error("again", _("They differ. Type the same passphrase twice."))


class ImportForm(forms.Form):
    """The file of an export, and the passphrase that was chosen for it."""

    file = forms.FileField(
        error_messages={
            "required": gettext_lazy("Choose the file that you downloaded there."),
            "empty": gettext_lazy("The file is empty. Download it there once more."),
        }
    )
    passphrase = forms.CharField(
        strip=False, error_messages={"required": gettext_lazy("Type the passphrase of the file.")}
    )


@never_cache
@require_safe
@signed_in
def leaving(request: PageRequest) -> HttpResponse:
    """What can be done: take everything along, bring it here, erase it. Context: ``host``."""
    return render(request, "webmail/leaving.html", {"host": settings.PUBLIC_HOST})


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@signed_in
def export(request: PageRequest) -> HttpResponseBase:
    """Asks for a passphrase (GET), and gives the file (POST), made while it is downloaded.

    Context: ``form``, ``error`` a sentence or "".
    """
    form = ExportForm(request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return _export_page(request, form)
    account, now = request.account, timezone.now()
    try:
        with turn_of(account) as turn:
            made = account_export.begin(
                account,
                settings.PUBLIC_HOST,
                agent(),
                form.cleaned_data["passphrase"],
                now=now,
                assertion=step_up.assertion_of(request),
            )
            return turn.download(made.chunks(), f"{account.handle}-{now:%Y-%m-%d}.tar", "application/x-tar")
    except NoTurn:
        return _export_page(request, form, error=no_turn())
    except AgentError as error:
        step_up.note(account, error)
        log.warning("exporting account %s stopped: %s", account.pk, error.code)
        return _export_page(request, form, error=failures.sentence(error))


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@signed_in(enrolled=False)
def bring(request: PageRequest) -> HttpResponse:
    """Asks for file and passphrase or shows how far it is (GET), and begins to take it in (POST).

    Context: ``form``, ``running`` (models.AccountImport or None), ``again`` whether to ask although one was
    taken in, ``host``, ``error`` a sentence or "".
    """
    account = request.account
    if request.method == "GET":
        newest = AccountImport.objects.filter(account=account).first()
        if request.htmx:
            return render(request, "webmail/_import.html", {"running": newest})
        return _import_page(request, ImportForm(), newest=None if "again" in request.GET else newest)
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return _import_page(request, form)
    try:
        row = _begin(
            account,
            form.cleaned_data["file"],
            form.cleaned_data["passphrase"],
            step_up.assertion_of(request),
        )
    except (ExportFileError, AgentError, RepositoryError) as error:
        step_up.note(account, error)
        log.warning("import for account %s was refused: %s", account.pk, error.code)
        return _import_page(request, form, error=_why_not_taken(error))
    queues.give(queues.TAKE_IN, row.pk)
    try:
        enrolment.enrol(account)
        enrolment.finish_withdrawals(account)
    except failures.PUBLISHING as error:
        # The keys are here; the welcome page and the devices page go on with it.
        log.warning("publishing for account %s stopped: %s", account.pk, error.code)
    return redirect("account-import")


@never_cache
@require_http_methods(["GET", "POST"])
def erase(request: HttpRequest) -> HttpResponse:
    """Says what goes and what stays (GET), and erases (POST) once the handle was typed; says how far that is
    where it stopped on the way, and goes on with it (POST).

    Context: ``elsewhere`` whether the account was moved, ``host``, ``handle``, ``error`` a sentence or "",
    ``mistyped`` what was typed instead of the handle or "". Of an account that is being closed: ``host``.
    """
    seen = request.session.get(CLOSING_KEY)
    if account_of(request) is None and seen is not None and not Account.objects.filter(pk=seen).exists():
        del request.session[CLOSING_KEY]
        target = reverse("account-erased")
        is_part = request.headers.get("HX-Request") == "true"
        return HttpResponse(headers={"HX-Redirect": target}) if is_part else redirect(target)
    answer: HttpResponse = _erase(request)
    return answer


@signed_in(enrolled=False, closing=True)
def _erase(request: PageRequest) -> HttpResponse:
    account = request.account
    closing = account.closing_since is not None
    if request.method == "GET":
        return _closing_page(request) if closing else _erase_page(request)
    typed = request.POST.get("handle", "").strip()
    if not closing and typed.lower().removeprefix("@") != account.handle.lower():
        return _erase_page(request, mistyped=typed or " ")
    try:
        is_done = account_erasure.erase(
            account,
            agent(),
            assertion=step_up.assertion_of(request),
            tell_server="anyway" not in request.POST,
        )
    except (*failures.PUBLISHING, MailboxError) as error:
        step_up.note(account, error)
        log.warning("erasing account %s stopped: %s", account.pk, error.code)
        if account.closing_since is not None:
            return redirect("account-erase")
        return _erase_page(request, error=failures.sentence(error), status=503)
    if not is_done:
        return redirect("account-erase")
    sign_out_browser(request)
    return redirect("account-erased")


@require_safe
def erased(request: HttpRequest) -> HttpResponse:
    """Says that it is done, to somebody who has no account here any more. Context: ``host``."""
    return render(request, "webmail/account_erased.html", {"host": settings.PUBLIC_HOST})


def _begin(
    account: Account, upload: UploadedFile[bytes], passphrase: str, assertion: dict[str, Any] | None
) -> AccountImport:
    path = account_import.keep_upload(upload.chunks(), upload.size or 0)
    try:
        return account_import.begin(
            account, path, passphrase, agent(), now=timezone.now(), assertion=assertion
        )
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _export_page(request: PageRequest, form: ExportForm, *, error: str = "") -> HttpResponse:
    context = {"form": form, "error": error}
    return render(request, "webmail/account_export.html", context, status=503 if error else 200)


def _import_page(
    request: PageRequest, form: ImportForm, *, newest: AccountImport | None = None, error: str = ""
) -> HttpResponse:
    context = {"form": form, "running": newest, "host": settings.PUBLIC_HOST, "error": error}
    return render(request, "webmail/account_import.html", context)


def _closing_page(request: PageRequest) -> HttpResponse:
    # Workers may finish it while this browser looks, which is signed out then.
    request.session[CLOSING_KEY] = request.account.pk
    page = "webmail/_closing.html" if request.htmx else "webmail/account_closing.html"
    return render(request, page, {"host": settings.PUBLIC_HOST})


def _erase_page(
    request: PageRequest, *, error: str = "", mistyped: str = "", status: int = 200
) -> HttpResponse:
    try:
        elsewhere = enrolment.receives_elsewhere(request.account)
    except RepositoryError:
        elsewhere = False
    context = {
        "elsewhere": elsewhere,
        "handle": request.account.handle,
        "host": settings.PUBLIC_HOST,
        "error": error,
        "mistyped": mistyped,
    }
    return render(request, "webmail/account_erase.html", context, status=status)


def _why_not_taken(error: ExportFileError | AgentError | RepositoryError) -> str:
    sentences = {
        "not-an-export": _("This is not the file of an export."),
        "cut-off": _("The file is not whole: its download was cut off. Download it there once more."),
        "changed": _("The file was changed or is damaged. Download it there once more."),
        "other-version": _("The file was made by another version of Waxwing, which this one cannot read."),
        "of-another": _("This is the export of another account. Sign in with that one to bring it here."),
        "no-room": _("This server has no room for the file at the moment. Try again later."),
        "WrongExportPassphrase": _("The passphrase does not open the file."),
    }
    same = {
        "BadExport": "changed",
        "UnsupportedExport": "other-version",
        "ExportOfAnother": "of-another",
    }
    known = sentences.get(same.get(error.code, error.code))
    return known if known is not None else failures.sentence(error)
