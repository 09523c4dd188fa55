"""Answering ordinary mail, and how far the answers came."""

import re
from collections.abc import Collection
from uuid import uuid4

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.sessions import signed_in
from webmail import drafts
from webmail.conversations import NotFound
from webmail.draft_places import DraftPlace
from webmail.mailbox import MailboxError
from webmail.models import Arrival
from webmail.ordinary import answering, answers, unsent
from webmail.outgoing import CannotSend
from webmail.views import ordinary
from webmail.views.draft_on_page import carried_on, draft_on_page
from webmail.views.page_request import PageRequest
from webmail.views.signed_out import page_that_stays

_KEYS = re.compile(r"[0-9]{1,18}(,[0-9]{1,18}){0,20}", re.ASCII)


@require_POST
@signed_in(when_signed_out=page_that_stays)
def answer(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Send what was written; what could not be sent stands in the form again, with the reason.

    While the mailbox cannot be reached it is kept for the mail's page as well.
    """
    text, token = request.POST.get("text", ""), request.POST.get("token", "")
    to_all, with_quote = request.POST.get("to") == "all", "quote" in request.POST
    now = timezone.now()
    try:
        answering.answer(
            request.account,
            arrival_id,
            text,
            token,
            to_all=to_all,
            with_quote=with_quote,
            on_page=draft_on_page(request, DraftPlace(mail=arrival_id)),
            now=now,
        )
    except NotFound as error:
        raise Http404 from error
    except (CannotSend, MailboxError) as error:
        if isinstance(error, MailboxError):
            written = unsent.Written(token, text, to_all, with_quote)
            unsent.keep(request.account, arrival_id, written, now=now)
        sentence, status = _problem(error)
        form = {
            "token": token if isinstance(error, MailboxError) else str(uuid4()),
            "text": text,
            "to_all": to_all,
            "with_quote": with_quote,
            "error": sentence,
            **carried_on(request),
        }
        return ordinary.mail_page(request, arrival_id, form=form, status=status)
    unsent.let_go(request.account, arrival_id)
    return redirect(f"{reverse('ordinary-mail', args=[arrival_id])}#answers")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def discard(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Throw away what was written and not sent, once that was asked."""
    place = DraftPlace(mail=arrival_id)
    if request.method == "POST":
        unsent.let_go(request.account, arrival_id)
        drafts.discard(request.account, place)
        return redirect("ordinary-mail", arrival_id)
    written, draft = unsent.kept(request.account, arrival_id), drafts.at(request.account, place)
    if written is None and draft is None:
        return redirect("ordinary-mail", arrival_id)
    text = draft.content.text if draft and draft.content else written.text if written else ""
    page = f"{reverse('ordinary-mail', args=[arrival_id])}#answer"
    context = {"question": _("Discard this answer?"), "text": text, "keep": page}
    return render(request, "webmail/discard.html", context)


@require_safe
@signed_in
def shown(request: PageRequest, arrival_id: int) -> HttpResponse:
    """The answers to a mail, for a page that was told of news. ``has`` are those whose text it shows."""
    if not Arrival.objects.filter(account=request.account, pk=arrival_id).exists():
        raise Http404
    has = request.GET.get("has", "")
    keys = {int(key) for key in has.split(",")} if _KEYS.fullmatch(has) else set[int]()
    return _answers(request, arrival_id, on_page=keys)


@require_POST
@signed_in
def retry(request: PageRequest, answer_id: int) -> HttpResponse:
    """Have an answer carried once more to those who did not get it."""
    try:
        row = answering.retry(request.account, answer_id, now=timezone.now())
    except NotFound as error:
        raise Http404 from error
    except (CannotSend, MailboxError) as error:
        sentence, status = _problem(error)
        arrival_id = answering.mail_of(request.account, answer_id)
        if request.htmx:
            return _answers(request, arrival_id, problem=sentence, status=status)
        return ordinary.mail_page(request, arrival_id, problem=sentence, status=status)
    if request.htmx:
        return _answers(request, row.arrival_id)
    return redirect(f"{reverse('ordinary-mail', args=[row.arrival_id])}#answers")


def _answers(
    request: PageRequest,
    arrival_id: int,
    *,
    on_page: Collection[int] = frozenset(),
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "arrival_id": arrival_id,
        "answers": answers.shown_answers(request.account, arrival_id, on_page=on_page),
        "problem": problem,
    }
    page = render(request, "webmail/_ordinary_answers.html", context, status=status)
    if status == 503:
        # By this scripts tell it from what a proxy says, and show it (static/app.js).
        page["HX-Reswap"] = "outerHTML"
    return page


def _problem(error: CannotSend | MailboxError) -> tuple[str, int]:
    """What a page says of why nothing was sent, and its status."""
    if isinstance(error, CannotSend):
        return error.sentence, 422
    return _("The mailbox cannot be reached just now. Nothing was sent; try again later."), 503
