"""What is being written, kept while it is typed: asked and answered by static/drafts.js, in JSON."""

from __future__ import annotations

import re
from dataclasses import asdict
from urllib.parse import urlencode

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import Account
from accounts.sessions import signed_in
from crypto_agent.client import AgentError, AgentLocked, AgentSealed
from webmail import drafts
from webmail.draft_content import DraftContent
from webmail.draft_places import DraftPlace
from webmail.drafts import CannotKeep, OpenDraft
from webmail.edits import newest_edits
from webmail.groups import LONGEST_NAME
from webmail.models import Conversation
from webmail.ordinary import marks
from webmail.outgoing import MAX_RECIPIENTS
from webmail.previews.card import decoded
from webmail.topic_list import topic_of
from webmail.uploads import files_of
from webmail.views.conversation import conversation_of, topic_in
from webmail.views.draft_on_page import draft_on_page
from webmail.views.message_actions import message_of
from webmail.views.page_request import PageRequest
from webmail.views.signed_out import page_that_stays

_MESSAGE_ID = re.compile(r"[0-9a-f]{64}")


@require_POST
@signed_in(when_signed_out=page_that_stays)
def keep(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Keep what stands in the composer of a conversation."""
    return _keep(request, DraftPlace(conversation_of(request, conversation_id)))


@require_POST
@signed_in(when_signed_out=page_that_stays)
def keep_new(request: PageRequest) -> HttpResponse:
    """Keep what is to begin a new conversation, with the people chosen for it."""
    draft_id = request.POST.get("draft", "")
    if not drafts.DRAFT_ID.fullmatch(draft_id):
        raise Http404
    return _keep(request, DraftPlace(draft_id=draft_id))


@require_POST
@signed_in(when_signed_out=page_that_stays)
def keep_edit(request: PageRequest, message_id: str) -> HttpResponse:
    """Keep what one's own message is being changed to, unless it was taken back."""
    message = message_of(request, message_id, own=True)
    newest = newest_edits([message]).get(message.pk)
    if newest is not None and newest.takes_back:
        drafts.discard(request.account, DraftPlace(message=message))
        words = _("This message was taken back, so what it was to become is not kept.")
        return JsonResponse({"error": words, "code": "taken-back"}, status=422)
    return _keep(request, DraftPlace(message=message))


@require_POST
@signed_in(when_signed_out=page_that_stays)
def keep_answer(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Keep what is written as an answer to a mail."""
    return _keep(request, DraftPlace(mail=_mail(request, arrival_id)))


@require_safe
@signed_in(when_signed_out=page_that_stays)
def news(request: PageRequest, conversation_id: str) -> HttpResponse:
    """What is kept for a conversation, unless the page that asks has written it, or has seen it; `replaced`
    says that it overtook what that page had."""
    open_one = conversation_of(request, conversation_id)
    found = drafts.of_conversation(request.account, open_one)
    writer, known = request.GET.get("writer", ""), request.GET.get("revision", "")
    if found is None:
        return (
            JsonResponse(_shown(request.account, open_one, None))
            if known != "0"
            else HttpResponse(status=204)
        )
    if found.content is None or (found.writer == writer and found.writer):
        return HttpResponse(status=204)
    if known == str(found.revision):
        return HttpResponse(status=204)
    replaced = bool(writer) and found.overtaken_writer == writer
    return JsonResponse(_shown(request.account, open_one, found) | {"replaced": replaced})


@require_safe
@signed_in(when_signed_out=page_that_stays)
def overtaken(request: PageRequest) -> HttpResponse:
    """What another page had before the last one overtook it, in the draft of a `conversation`, of a `message`
    or a `mail`, or else in the one `draft` of a new conversation."""
    place = _asked_for(request)
    try:
        content = drafts.overtaken(request.account, place)
    except AgentError:
        return JsonResponse({}, status=503)
    if content is None:
        raise Http404
    return JsonResponse(_fields(request.account, content))


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def discard(request: PageRequest, draft_id: str) -> HttpResponse:
    """Throw away the draft of a new conversation, once that was asked."""
    if request.method == "POST":
        drafts.discard(request.account, DraftPlace(draft_id=draft_id))
        return redirect("inbox")
    found = (
        drafts.at(request.account, DraftPlace(draft_id=draft_id))
        if drafts.DRAFT_ID.fullmatch(draft_id)
        else None
    )
    if found is None:
        return redirect("inbox")
    context = {
        "question": _("Discard this draft?"),
        "text": found.content.text if found.content else "",
        "keep": f"{reverse('new-conversation')}?{urlencode({'draft': draft_id})}",
    }
    return render(request, "webmail/discard.html", context)


def _asked_for(request: PageRequest) -> DraftPlace:
    """The place that an address names. Raises Http404."""
    asked = {name: request.GET.get(name, "") for name in ("conversation", "message", "mail", "draft")}
    if asked["conversation"].isalnum():
        return DraftPlace(conversation_of(request, asked["conversation"]))
    if _MESSAGE_ID.fullmatch(asked["message"]):
        return DraftPlace(message=message_of(request, asked["message"], own=True))
    if asked["mail"].isdecimal() and len(asked["mail"]) < 19:
        return DraftPlace(mail=_mail(request, int(asked["mail"])))
    if drafts.DRAFT_ID.fullmatch(asked["draft"]):
        return DraftPlace(draft_id=asked["draft"])
    raise Http404


def _mail(request: PageRequest, arrival_id: int) -> int:
    """The key of an ordinary mail of the account. Raises Http404."""
    if not marks.of_account(request.account).filter(pk=arrival_id).exists():
        raise Http404
    return arrival_id


def draft_in_form(request: PageRequest, place: DraftPlace) -> DraftContent:
    """What the form of a place holds."""
    text, people = request.POST.get("text", ""), place.is_new
    if place.message:
        return DraftContent(text)
    if place.mail is not None:
        return DraftContent(text, to_all=request.POST.get("to") == "all", with_quote="quote" in request.POST)
    pks = [pk for pk in request.POST.getlist("file") if pk.isdecimal() and len(pk) < 19]
    reply = request.POST.get("in_reply_to", "")
    former = request.POST.get("from", "")[:128]
    return DraftContent(
        text=text,
        files=tuple((int(pk), request.POST.get(f"name-{pk}", "")) for pk in dict.fromkeys(pks)),
        in_reply_to=reply if _MESSAGE_ID.fullmatch(reply) else "",
        people=tuple(dict.fromkeys(request.POST.getlist("to")))[:MAX_RECIPIENTS] if people else (),
        topic="" if people else topic_in(request.POST),
        preview=decoded(request.POST.get("preview", "")),
        name=request.POST.get("group_name", "")[:LONGEST_NAME] if people else "",
        former=former if people and former.isalnum() else "",
    )


def _keep(request: PageRequest, place: DraftPlace) -> HttpResponse:
    try:
        kept = drafts.keep(
            request.account,
            draft_on_page(request, place),
            draft_in_form(request, place),
            swap=bool(request.POST.get("swap")),
            now=timezone.now(),
        )
    except CannotKeep as error:
        return JsonResponse({"error": _unkept(error.code), "code": error.code}, status=422)
    except AgentLocked:
        words = _("Your keys are locked, so what you type is not kept. Unlock them in another tab.")
        return JsonResponse({"error": words, "code": "locked"}, status=423)
    except AgentSealed:
        words = _("What you type is not kept just now: the key agent waits for its operator's key.")
        return JsonResponse({"error": words, "code": "agent-sealed"}, status=503)
    except AgentError:
        words = _("What you type is not kept just now: your agent does not answer.")
        return JsonResponse({"error": words, "code": "agent-unavailable"}, status=503)
    return JsonResponse(asdict(kept))


def _unkept(code: str) -> str:
    if code == "too-long":
        return _("This is too long to be kept as a draft.")
    if code == "sent":
        return _("This was sent already, so it is not kept as a draft.")
    return _("You have many drafts already. This one is not kept.")


def _shown(account: Account, open_one: Conversation, found: OpenDraft | None) -> dict[str, object]:
    content = found.content if found and found.content else DraftContent()
    topic = topic_of(account, open_one, content.topic) if content.topic else None
    about = {"in_topic": topic, "row": {"id": open_one.conversation_id}}
    return {
        "revision": found.revision if found else 0,
        "overtook": bool(found and found.overtaken),
        "topic": content.topic,
        "about": render_to_string("webmail/_composer_about.html", about),
        **_fields(account, content),
    }


def _fields(account: Account, content: DraftContent) -> dict[str, object]:
    files = files_of(account, content.files)
    items = render_to_string("webmail/_files_kept.html", {"files": files})
    preview = render_to_string("webmail/_composer_preview.html", {"card": content.preview})
    return {
        "text": content.text,
        "files": items,
        "preview": preview,
        "inReplyTo": content.in_reply_to,
        "toAll": content.to_all,
        "withQuote": content.with_quote,
    }
