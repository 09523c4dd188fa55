"""Removing deleted ordinary mail for good: one, or all of it, once that was asked."""

import re
from collections import Counter
from datetime import datetime

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts.models import Account
from accounts.sessions import signed_in
from webmail import cursor_times
from webmail.conversations import NotFound
from webmail.mailbox import MailboxError
from webmail.ordinary import marks, reading, removing
from webmail.ordinary.parsing import OrdinaryMail
from webmail.ordinary.removing import Removable, Removed, Stays
from webmail.views.page_request import PageRequest


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def remove(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Ask whether a deleted mail goes for good (GET), and remove it (POST), also twice."""
    account, removed = request.account, None
    try:
        if request.method == "POST":
            removed = removing.remove(account, arrival_id, now=timezone.now())
            if not removed.away:
                return _list_that_says(request, removed)
        removable = removing.removable(account, arrival_id=arrival_id)
    except NotFound as error:
        if marks.of_account(account).filter(pk=arrival_id).exists():
            # It was put back, or never deleted.
            return redirect("ordinary-mail", arrival_id)
        if request.method != "POST":
            raise Http404 from error
        messages.info(request, _("That mail is not there any more."))
        return redirect(_deleted_mails())
    keep, mail = reverse("ordinary-mail", args=[arrival_id]), _mail(account, arrival_id)
    return _question(request, removable, keep, of_one=True, mail=mail, removed=removed)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def empty(request: PageRequest) -> HttpResponse:
    """Ask whether all deleted mail goes for good (GET), and remove what was deleted when that was asked."""
    removed = None
    if request.method == "POST":
        now = timezone.now()
        removed = removing.empty(request.account, until=_asked_at(request) or now, now=now)
        if not removed.away:
            return _list_that_says(request, removed)
    removable = removing.removable(request.account)
    if not removable.count and not removable.staying.total():
        return redirect(_deleted_mails())
    return _question(request, removable, _deleted_mails(), removed=removed)


def _question(
    request: PageRequest,
    removable: Removable,
    keep: str,
    *,
    of_one: bool = False,
    mail: OrdinaryMail | None = None,
    removed: Removed | None = None,
) -> HttpResponse:
    """The page that asks; once more where the mailbox was away, with what was ``removed`` until then."""
    error = ""
    if removed is not None:
        away = _("The mailbox cannot be reached just now, so what is left stays. Try again later.")
        error = " ".join([*_gone(removed), away])
    context = {
        "mail": mail,
        "of_one": of_one,
        "count": removable.count,
        "answered": removable.answered,
        "staying": _staying(removable.staying),
        "asked_at": cursor_times.written(timezone.now()),
        "keep": keep,
        "error": error,
    }
    return render(request, "webmail/ordinary_remove.html", context, status=503 if error else 200)


def _list_that_says(request: PageRequest, removed: Removed) -> HttpResponse:
    """The deleted mail that is left, and what was done."""
    for sentence in _gone(removed):
        messages.success(request, sentence)
    for sentence in _staying(removed.staying):
        messages.warning(request, sentence)
    return redirect(_deleted_mails())


def _gone(removed: Removed) -> list[str]:
    if not removed.count:
        return []
    sentence = ngettext(
        "%(count)d mail was removed for good.", "%(count)d mails were removed for good.", removed.count
    )
    return [sentence % {"count": removed.count}]


def _staying(why: Counter[Stays]) -> list[str]:
    """Why mails are not removed, for the one who wants them to be."""
    return [_sentence(each, count) % {"count": count} for each, count in sorted(why.items()) if count]


def _sentence(why: Stays, count: int) -> str:
    match why:
        case Stays.ANSWER_UNSENT:
            return ngettext(
                "%(count)d mail stays: you wrote an answer to it that is not sent. "
                "Send or discard that first.",
                "%(count)d mails stay: you wrote answers to them that are not sent. "
                "Send or discard these first.",
                count,
            )
        case Stays.ANSWER_ON_ITS_WAY:
            return ngettext(
                "%(count)d mail stays: your answer to it is still on its way. Try again in a few minutes.",
                "%(count)d mails stay: your answers to them are still on their way. "
                "Try again in a few minutes.",
                count,
            )
        case Stays.PUT_BACK:
            return ngettext(
                "%(count)d mail stays: another mail program has put it back.",
                "%(count)d mails stay: another mail program has put them back.",
                count,
            )
        case Stays.RENUMBERED:
            return ngettext(
                "%(count)d mail stays: your mailbox is being read anew. Try again in a few minutes.",
                "%(count)d mails stay: your mailbox is being read anew. Try again in a few minutes.",
                count,
            )


def _mail(account: Account, arrival_id: int) -> OrdinaryMail | None:
    """What the question shows of it; None where it cannot be read."""
    try:
        return reading.shown(account, arrival_id).mail
    except (NotFound, MailboxError):
        return None


def _asked_at(request: PageRequest) -> datetime | None:
    """When the page that asked was made, so that what was deleted since then stays."""
    text = request.POST.get("asked_at", "")
    return cursor_times.read(text) if re.fullmatch(cursor_times.PATTERN, text) else None


def _deleted_mails() -> str:
    return f"{reverse('ordinary-mails')}?show=deleted"
