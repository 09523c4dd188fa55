"""Removing what was kept aside for good: one, or all of it, once that was asked."""

import re
from datetime import datetime

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts.sessions import signed_in
from webmail import cursor_times, kept_aside, kept_aside_removal
from webmail.conversations import NotFound
from webmail.mailbox import MailboxError
from webmail.views.page_request import PageRequest


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def remove(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Ask whether one goes for good (GET), and remove it (POST), also twice."""
    error = ""
    if request.method == "POST":
        try:
            kept_aside_removal.remove(request.account, arrival_id, now=timezone.now())
        except NotFound:
            messages.info(request, _("That is not kept aside any more."))
            return redirect("kept-aside")
        except MailboxError:
            error = _away()
        else:
            messages.success(request, _said(1))
            return redirect("kept-aside")
    if not kept_aside_removal.is_removable(request.account, arrival_id):
        raise Http404
    item = kept_aside.find(request.account, arrival_id)
    return _question(request, {"item": item, "count": 1, "keep": _list(item.put_away)}, error)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def remove_all(request: PageRequest) -> HttpResponse:
    """Ask whether all go for good, with `show=put-away` all that were put away (GET), and remove what was
    kept aside when that was asked (POST)."""
    put_away, error = request.GET.get("show") == "put-away", ""
    if request.method == "POST":
        now = timezone.now()
        try:
            removed = kept_aside_removal.remove_all(
                request.account, put_away=put_away, until=_asked_at(request) or now, now=now
            )
        except MailboxError:
            error = _away()
        else:
            messages.success(request, _said(removed))
            return redirect(_list(put_away))
    count = kept_aside_removal.removable(request.account, put_away=put_away)
    if not count:
        return redirect(_list(put_away))
    return _question(request, {"count": count, "keep": _list(put_away)}, error)


def _question(request: PageRequest, context: dict[str, object], error: str) -> HttpResponse:
    asked_at = cursor_times.written(timezone.now())
    context = {**context, "asked_at": asked_at, "error": error}
    return render(request, "webmail/kept_aside_remove.html", context, status=503 if error else 200)


def _away() -> str:
    return _("The mailbox cannot be reached just now, so what is left stays. Try again later.")


def _said(count: int) -> str:
    sentence = ngettext(
        "%(count)d mail was removed for good.", "%(count)d mails were removed for good.", count
    )
    return sentence % {"count": count}


def _list(put_away: bool) -> str:
    return f"{reverse('kept-aside')}?show=put-away" if put_away else reverse("kept-aside")


def _asked_at(request: PageRequest) -> datetime | None:
    """When the page that asked was made, so that what was kept aside since then stays."""
    text = request.POST.get("asked_at", "")
    return cursor_times.read(text) if re.fullmatch(cursor_times.PATTERN, text) else None
