"""Reporting somebody to the operator: the form, what it would hand over, and what it handed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.sessions import signed_in
from webmail import blocking, disclosed_files, reportable, reporting
from webmail.blocked import blocked_among
from webmail.models import Report
from webmail.people import people_of
from webmail.views.page_request import PageRequest
from webmail.views.people import did_of_page
from webmail.views.requests_page import way_back


@dataclass(frozen=True)
class _Form:
    """What was filled in: keys of messages and of files as `webmail.reportable` names them."""

    do: str
    reason: str
    words: str
    messages: list[str]
    files: list[str]
    block: bool
    token: str


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def report(request: PageRequest, did: str) -> HttpResponse:
    """Report somebody, or make the text of a report; with `message`, that one is ticked.

    `do` is "look" (at what would be handed over), "send", "text", "older", "newest" or "change".
    """
    found = did_of_page(request, did)
    blocked = found in blocked_among(request.account.pk, [found])
    form = _Form(
        do=request.POST.get("do", ""),
        reason=request.POST.get("reason", ""),
        words=request.POST.get("words", ""),
        messages=request.POST.getlist("message"),
        files=request.POST.getlist("file"),
        block=bool(request.POST.get("block")) and not blocked,
        token=request.POST.get("token", "")[:36],
    )
    error = ""
    if form.do in ("look", "send", "text"):
        try:
            return _done(request, found, form)
        except reporting.CannotReport as problem:
            error = problem.sentence
    before = {"older": request.POST.get("older", ""), "newest": ""}.get(
        form.do, request.POST.get("before", "")
    )
    context = {
        **_always(request, found, form),
        **_to_choose_from(request, found, form.messages or request.GET.getlist("message"), before),
        "reasons": Report.Reason.choices,
        "files_chosen": form.files,
        "files_taken": disclosed_files.are_taken(),
        "largest_file": reportable.MOST_BYTES_OF_FILE,
        "blocked": blocked,
        "error": error,
    }
    return render(request, "webmail/report.html", context, status=422 if error else 200)


def _done(request: PageRequest, did: str, form: _Form) -> HttpResponse:
    """The page after what was asked for, or with what can be handed over where a file can't be had.

    Raises CannotReport.
    """
    account, now = request.account, timezone.now()
    if form.do != "text":
        reporting.check_reason(form.reason)
    chosen = reporting.choose(account, did, form.words, form.messages, form.files)
    with disclosed_files.fetched(account, chosen.files, now=now) as fetched:
        disclosed = chosen.disclosed.with_digests(fetched.digests)
        if form.do == "look" or fetched.problems:
            missing = [
                (each.named, fetched.problems[each.named.key])
                for each in chosen.files
                if each.named.key in fetched.problems
            ]
            return _preview(request, did, form, disclosed, missing)
        if form.do == "send":
            plaintexts = fetched.plaintexts
            reporting.report(account, did, form.reason, disclosed, plaintexts, now=now, token=form.token)
    if form.block:
        blocking.block(account, did, now)
    context = {
        **_always(request, did, form),
        "made": reporting.as_plain_text(account, did, form.reason, disclosed),
        "files": len(disclosed.files),
        "sent": form.do == "send",
    }
    return render(request, "webmail/report_made.html", context)


def _preview(
    request: PageRequest,
    did: str,
    form: _Form,
    disclosed: reporting.Disclosed,
    missing: Sequence[tuple[reportable.FileName, str]],
) -> HttpResponse:
    error = ""
    if form.do != "look":
        error = _("Nothing was handed over: a file could not be had.")
    context = {
        **_always(request, did, form),
        "about": dict(Report.Reason.choices).get(form.reason, ""),
        "disclosed": disclosed,
        "missing": missing,
        "message_keys": form.messages,
        "before": request.POST.get("before", ""),
        "error": error,
    }
    return render(request, "webmail/report_preview.html", context, status=422 if error else 200)


def _always(request: PageRequest, did: str, form: _Form) -> dict[str, Any]:
    """What each of the pages shows."""
    return {
        "person": people_of([did])[did],
        "reason": form.reason,
        "words": form.words,
        "block_too": form.block,
        "host": settings.PUBLIC_HOST,
        "way_back": way_back(request),
    }


def _to_choose_from(request: PageRequest, did: str, chosen: Sequence[str], before: str) -> dict[str, Any]:
    """The messages that a report could disclose: those that are ticked already, and a page of others."""
    page = reportable.page_of(request.account, did, before=before)
    ids = reporting.ids_of(chosen[: reporting.MOST_MESSAGES])
    ticked = ids - {each.id for each in page.messages}
    return {
        "messages": [*reportable.named(request.account, did, ticked), *page.messages],
        "chosen": ids,
        "before": before,
        "older": page.older,
    }
