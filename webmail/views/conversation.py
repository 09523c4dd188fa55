"""One conversation: its messages, and what is written to it."""

from typing import Any
from uuid import uuid4

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail import threads
from webmail.conversations import NotFound, find, mark_read, others_in
from webmail.models import Conversation
from webmail.news import news
from webmail.outgoing import CannotSend, send
from webmail.views.inbox import list_context
from webmail.views.requests import PageRequest


@require_safe
@signed_in
def conversation(request: PageRequest, conversation_id: str) -> HttpResponse:
    """A conversation with its newest messages, or with those before the message `before`."""
    if request.htmx.target == "side":
        return render(request, "webmail/_no_drawer.html")
    return conversation_page(request, conversation_of(request, conversation_id))


@require_safe
@signed_in
def older(request: PageRequest, conversation_id: str) -> HttpResponse:
    """The messages before `before`, to be put above those shown."""
    open_one = conversation_of(request, conversation_id)
    thread = _thread(request, open_one)
    return render(request, "webmail/_older_page.html", {"thread": thread, "row": thread.conversation})


@require_safe
@signed_in
def whats_new(request: PageRequest, conversation_id: str) -> HttpResponse:
    """What an open page does not show yet. `seen` is set when somebody looks at that page."""
    open_one = conversation_of(request, conversation_id)
    shown = dict(_prefix_and_mark(each) for each in request.GET.getlist("shown"))
    found = news(request.account, open_one, shown)
    if request.GET.get("seen"):
        mark_read(request.account, open_one)
    if found.gap:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    if not found:
        return HttpResponse(status=204)
    return render(request, "webmail/_news.html", {"news": found})


@require_POST
@signed_in
def send_to(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Send what was written; without script, show the conversation again."""
    open_one = conversation_of(request, conversation_id)
    text = request.POST.get("text", "")
    recipients = others_in(request.account, open_one)
    try:
        message = send(request.account, recipients, text, request.POST.get("token", ""))
    except CannotSend as error:
        composer = new_composer(text=text, error=error.sentence)
        if request.htmx:
            return render(request, "webmail/_composer_state.html", {"composer": composer}, status=422)
        return conversation_page(request, open_one, composer=composer, status=422)
    if request.htmx:
        answer = render(request, "webmail/_composer_state.html", {"composer": new_composer()})
        answer["HX-Trigger"] = "news"
        return answer
    return redirect(f"{reverse('conversation', args=[conversation_id])}#m{message.message_id}")


def conversation_of(request: PageRequest, conversation_id: str) -> Conversation:
    """The account's conversation. Raises Http404."""
    try:
        return find(request.account, conversation_id)
    except NotFound as error:
        raise Http404 from error


def conversation_page(
    request: PageRequest,
    open_one: Conversation,
    *,
    composer: dict[str, str] | None = None,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """The whole page of a conversation; whoever gets it has seen its messages."""
    thread = _thread(request, open_one)
    mark_read(request.account, open_one)
    context = list_context(request) | {
        "row": thread.conversation,
        "thread": thread,
        "older": bool(request.GET.get("before")),
        "composer": composer or new_composer(),
    }
    return render(request, "webmail/conversation.html", context | more, status=status)


def new_composer(*, text: str = "", error: str = "") -> dict[str, str]:
    """A fresh token, so that submitting one page twice sends one message."""
    return {"token": str(uuid4()), "text": text, "error": error}


def _thread(request: PageRequest, open_one: Conversation) -> threads.Thread:
    before = request.GET.get("before", "")
    if before and not before.isalnum():
        # PostgreSQL refuses some characters with an error instead of finding nothing.
        raise Http404
    try:
        return threads.thread(request.account, open_one, before=before or None)
    except NotFound as error:
        raise Http404 from error


def _prefix_and_mark(shown: str) -> tuple[str, str]:
    prefix, _separator, mark = shown.partition(":")
    return prefix, mark
