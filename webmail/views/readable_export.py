"""The page of the export as plain text, and the download."""

from __future__ import annotations

import logging
from typing import get_args

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import failures, step_up
from accounts.agent import agent
from accounts.sessions import signed_in
from crypto_agent.client import AgentError
from webmail.readable_export import export
from webmail.views.downloads import NoTurn, no_turn, turn_of
from webmail.views.page_request import PageRequest

log = logging.getLogger(__name__)


class ReadableExportForm(forms.Form):
    """Which format, whether with files, and that one knows what plain text is."""

    format = forms.ChoiceField(choices=[(form, form) for form in get_args(export.Form)])
    with_files = forms.BooleanField(required=False)
    understood = forms.BooleanField(
        error_messages={"required": gettext_lazy("Tick this first: nothing protects the file but you.")}
    )


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@signed_in
def readable_export(request: PageRequest) -> HttpResponseBase:
    """Says what plain text means (GET), and gives the archive (POST), made while it is downloaded.

    Context: ``form``, ``host``, ``error`` a sentence or "".
    """
    form = ReadableExportForm(request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return _page(request, form, status=422 if form.errors else 200)
    account = request.account
    try:
        with turn_of(account) as turn:
            made = export.begin(
                account,
                settings.PUBLIC_HOST,
                agent(),
                form.cleaned_data["format"],
                with_files=form.cleaned_data["with_files"],
                language=translation.get_language() or settings.LANGUAGE_CODE,
                now=timezone.now(),
                assertion=step_up.assertion_of(request),
            )
            return turn.download(made.chunks(), made.name, "application/zip")
    except NoTurn:
        return _page(request, form, error=no_turn(), status=503)
    except AgentError as error:
        step_up.note(account, error)
        log.warning("exporting account %s as text stopped: %s", account.pk, error.code)
        return _page(request, form, error=failures.sentence(error), status=503)


def _page(
    request: PageRequest, form: ReadableExportForm, *, error: str = "", status: int = 200
) -> HttpResponse:
    context = {"form": form, "host": settings.PUBLIC_HOST, "error": error}
    return render(request, "webmail/account_readable.html", context, status=status)
