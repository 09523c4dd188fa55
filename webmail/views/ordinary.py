"""Ordinary mail: the list, a mail, its files, and the frame of its HTML."""

import hashlib
import re
from dataclasses import asdict
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import Account
from accounts.one_line import is_blank
from accounts.sessions import signed_in
from webmail import drafts
from webmail.conversations import NotFound
from webmail.draft_places import DraftPlace
from webmail.mailbox import MailboxError
from webmail.ordinary import answering, answers, frame, html, links, marks, reading, unsent
from webmail.ordinary.parsing import OrdinaryMail
from webmail.own_addresses import is_address_of
from webmail.security import CONTENT_SECURITY_POLICY
from webmail.views.draft_on_page import on_a_page
from webmail.views.page_request import PageRequest


@require_safe
@signed_in
def mails(request: PageRequest) -> HttpResponse:
    """The list, newest first. An open page that has it as it is, as its ``mark`` says, is answered 204."""
    before = _number(request.GET.get("before", ""))
    show: reading.Shown = next((each for each in reading.SHOWN if each == request.GET.get("show")), "mail")
    partial = request.htmx.target == "mails"
    template = "webmail/_ordinary_rows.html" if partial else "webmail/ordinary_mails.html"
    # Before anything is read: what changes meanwhile has another mark.
    context: dict[str, Any] = {"show": show, "before": before, "mark": _mark(request.account, show, before)}
    if partial and request.GET.get("mark") == context["mark"]:
        return HttpResponse(status=204)
    try:
        found, cursor = reading.listed(request.account, show, before=before)
    except MailboxError:
        page = render(request, template, context | {"error": unreachable()}, status=503)
        if partial:
            # Above the list, which stays. By this scripts tell it from what a proxy says (static/app.js).
            page["HX-Retarget"], page["HX-Reswap"] = "#mails-state", "outerHTML"
        return page
    answered = answers.answered(request.account, [one.id for one in found])
    context |= {"mails": found, "cursor": cursor, "answered": answered}
    if not partial:
        context |= {"done": _just_done(request), "said": messages.get_messages(request)}
    return render(request, template, context)


def _mark(account: Account, show: reading.Shown, before: int | None) -> str:
    """Of what a page of the list shows: its rows, which were answered, and the day that times are said by."""
    rows = reading.state(account, show, before=before)
    answered = sorted(answers.answered(account, [row[0] for row in rows]))
    return hashlib.sha256(repr((rows, answered, timezone.localdate())).encode()).hexdigest()[:16]


def _just_done(request: PageRequest) -> tuple[str, int] | None:
    """What was done with which mail, as the address says, if that is so."""
    done, of = request.GET.get("done"), _number(request.GET.get("of", ""))
    row = marks.of_account(request.account).filter(pk=of).first() if of is not None else None
    if row is None or not (row.deleted_at if done == "delete" else done in ("spam", "block") and row.spam):
        return None
    return str(done), row.pk


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,18}", text, re.ASCII) else None


@require_safe
@signed_in
def mail(request: PageRequest, arrival_id: int) -> HttpResponse:
    """One mail: its words, or with ``designed`` its HTML in a frame from another host name."""
    return mail_page(request, arrival_id)


def mail_page(
    request: PageRequest,
    arrival_id: int,
    *,
    form: dict[str, Any] | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """The page of a mail. ``form`` is what was written and could not be sent, with its ``error``; without it,
    what was ``kept`` of such, or is being written, stands in the form. ``problem`` is why an answer could not
    be sent again. While the mailbox cannot be reached, the page has these without the mail."""
    try:
        shown = reading.shown(request.account, arrival_id)
    except NotFound as error:
        raise Http404 from error
    except MailboxError:
        return _page_without_mail(request, arrival_id, form, problem)
    designed = bool(request.GET.get("designed")) and shown.mail.html is not None and frame.is_set_up()
    cleaned = html.clean(shown.mail.html, shown.mail.pictures) if shown.mail.html else None
    words = shown.mail.text
    if words is None and shown.mail.html is not None:
        words = html.text_of(shown.mail.html)
    context = {
        "shown": shown,
        "mail": shown.mail,
        "words": "" if is_blank(words or "") else words,
        "frame": frame.ask_for(request.account.pk, arrival_id) if designed else "",
        "can_be_designed": shown.mail.html is not None and frame.is_set_up(),
        "left_out": cleaned.left_out if cleaned else 0,
        "arrival_id": arrival_id,
        "address_blocked": marks.is_blocked(request.account, shown.mail.sender_address),
        "answerable": answering.answerable(request.account, shown.mail),
        "answers": answers.shown_answers(request.account, arrival_id),
        "to_others": _others_in_to(request.account, shown.mail),
        "form": form or _kept_form(request.account, arrival_id) or _new_form(),
        "problem": problem,
    }
    answer = render(request, "webmail/ordinary_mail.html", context, status=status)
    if designed:
        answer["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; frame-src {settings.FRAME_URL}"
    return answer


def _others_in_to(account: Account, mail: OrdinaryMail) -> list[str] | None:
    """Whom a mail that is to the account's own address is to besides; None for one that is not."""
    others = [address for address in mail.to if not is_address_of(account.did, address)]
    return others if len(others) < len(mail.to) else None


def _page_without_mail(
    request: PageRequest, arrival_id: int, form: dict[str, Any] | None, problem: str
) -> HttpResponse:
    context = {
        "arrival_id": arrival_id,
        "answers": answers.shown_answers(request.account, arrival_id),
        "form": form or _kept_form(request.account, arrival_id),
        "problem": problem,
        "error": "" if form or problem else unreachable(),
    }
    return render(request, "webmail/ordinary_mail_away.html", context, status=503)


def _new_form() -> dict[str, Any]:
    return {"token": str(uuid4()), "with_quote": True}


def _kept_form(account: Account, arrival_id: int) -> dict[str, Any] | None:
    """The form with what was being written, or could not be sent the last time."""
    written = unsent.kept(account, arrival_id)
    draft = drafts.at(account, DraftPlace(mail=arrival_id))
    if written is None and draft is None:
        return None
    form = {**asdict(written), "kept": True} if written else _new_form()
    if draft and draft.content:
        content = draft.content
        form |= {"text": content.text, "to_all": content.to_all, "with_quote": content.with_quote}
    return form | on_a_page(draft)


@require_safe
@signed_in
def file(request: PageRequest, arrival_id: int, number: int) -> HttpResponse:
    """A file that came with a mail, to be kept and never to be shown here."""
    try:
        attached, octets = reading.attached(request.account, arrival_id, number)
    except (NotFound, MailboxError) as error:
        raise Http404 from error
    answer = HttpResponse(octets, content_type="application/octet-stream")
    name = attached.name or _("file")
    answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name.replace('/', '_'))}"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["Cache-Control"] = "no-store"
    return answer


@require_safe
def framed(request: HttpRequest, name: str) -> HttpResponse:
    """The HTML of a mail, cleaned, for the one who asked for it a moment ago."""
    wanted = frame.take(name)
    account = Account.objects.filter(pk=wanted[0]).first() if wanted else None
    if wanted is None or account is None:
        raise Http404
    shown = _shown(account, wanted[1])
    body = links.with_places(html.clean(shown.mail.html or "", shown.mail.pictures).html)
    answer = render(request, "webmail/ordinary_frame.html", {"body": body})
    answer["Content-Security-Policy"] = frame.policy()
    answer["Referrer-Policy"] = "no-referrer"
    answer["Cache-Control"] = "no-store"
    answer["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer


def _shown(account: Account, arrival_id: int) -> reading.ShownMail:
    try:
        return reading.shown(account, arrival_id)
    except (NotFound, MailboxError) as error:
        raise Http404 from error


def unreachable() -> str:
    """What pages say while the mailbox is away."""
    return _("The mailbox cannot be reached just now. Nothing is lost; try again later.")
