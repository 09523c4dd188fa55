"""What people do with a message: react, reply, edit, take back, delete for themselves."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.sessions import signed_in
from webmail import changing, consent, drafts, forgetting, not_arrived, quotes, saving, threads
from webmail.conversations import NotFound
from webmail.draft_places import DraftPlace
from webmail.models import Conversation, Message
from webmail.outgoing import CannotSend
from webmail.thread_window import At
from webmail.topic_list import topic_of
from webmail.views.conversation import conversation_page
from webmail.views.draft_on_page import carried_on, draft_on_page, on_a_page
from webmail.views.page_request import PageRequest
from webmail.views.signed_out import page_that_stays
from webmail.views.topics import topic_on_page


@require_safe
@signed_in
def place(request: PageRequest, message_id: str) -> HttpResponse:
    """Leads to the message in its conversation, wherever that is."""
    return redirect(address_of(message_of(request, message_id)))


@require_safe
@signed_in
def entry(request: PageRequest, message_id: str) -> HttpResponse:
    """The message as its thread shows it, without what was asked about it."""
    return _entry(request, message_of(request, message_id))


@require_safe
@signed_in
def menu(request: PageRequest, message_id: str) -> HttpResponse:
    """What can be done with a message: for a menu that was opened, or without script as a page."""
    message = message_of(request, message_id)
    found = threads.entry(request.account, message_id)
    conversation_id = message.conversation.conversation_id
    context = {
        "entry": found,
        "conversation_id": conversation_id,
        "topic": message.topic or message_id,
        "left": message.conversation.left_at is not None,
    }
    template = "webmail/_entry_actions.html" if request.htmx else "webmail/message_menu.html"
    return render(request, template, context)


@require_POST
@signed_in
def react(request: PageRequest, message_id: str) -> HttpResponse:
    """React with an emoji, or take that back."""
    message = message_of(request, message_id)
    try:
        changing.react(
            request.account, message_id, request.POST.get("emoji", ""), request.POST.get("token", "")
        )
    except NotFound as error:
        raise Http404 from error
    except CannotSend as error:
        return _asked(request, message, what="failed", error=error.sentence)
    return _done(request, message)


@require_safe
@signed_in
def reply(request: PageRequest, message_id: str) -> HttpResponse:
    """The quote above the composer; without script, the conversation with it."""
    message = message_of(request, message_id)
    quote = quotes.of_message(request.account, message)
    row = {"id": message.conversation.conversation_id}
    # What answers a message of a topic belongs there too; its first one may be answered outside.
    inside = message.topic if message.topic != message.message_id else None
    topic = topic_of(request.account, message.conversation, inside) if inside else None
    if request.htmx:
        context = {"reply": quote, "row": row, "in_topic": topic, "topic": topic_on_page(request)}
        return render(request, "webmail/_composer_reply.html", context)
    composer = {"reply": quote, "topic": topic}
    return conversation_page(request, message.conversation, composer=composer, at=At(around=message_id))


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: PageRequest, message_id: str) -> HttpResponse:
    """Write one's message anew."""
    answer: HttpResponse = (_save if request.method == "POST" else _begin_edit)(request, message_id)
    return answer


@signed_in
def _begin_edit(request: PageRequest, message_id: str) -> HttpResponse:
    """The form, with the message as it is, or with what it is being changed to."""
    message = message_of(request, message_id, own=True)
    draft = drafts.at(request.account, DraftPlace(message=message))
    try:
        text = (
            draft.content.text if draft and draft.content else changing.typed_of(request.account, message_id)
        )
    except CannotSend as error:
        return _asked(request, message, what="failed", error=error.sentence)
    except NotFound as error:
        raise Http404 from error
    return _edit_form(request, message, text, on_a_page(draft))


@signed_in(when_signed_out=page_that_stays)
def _save(request: PageRequest, message_id: str) -> HttpResponse:
    message = message_of(request, message_id, own=True)
    text, token = request.POST.get("text", ""), request.POST.get("token", "")
    on_page = draft_on_page(request, DraftPlace(message=message))
    try:
        changing.edit(request.account, message_id, text, token, on_page=on_page)
    except CannotSend as error:
        return _edit_form(request, message, text, carried_on(request), error=error.sentence)
    return _done(request, message)


def _edit_form(
    request: PageRequest, message: Message, text: str, composer: dict[str, object], *, error: str = ""
) -> HttpResponse:
    context = {
        "composer": composer,
        "keep": reverse("draft-keep-edit", args=[message.message_id]),
        "anew": reverse("message-edit", args=[message.message_id]),
        "of": "message",
        "in": message.message_id,
    }
    state = render_to_string("webmail/_draft_state.html", context, request)
    return _asked(request, message, what="edit", text=text, error=error, state=state)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def leave_edit(request: PageRequest, message_id: str) -> HttpResponse:
    """Leave one's message as it was. Away from its form that is asked first."""
    message = message_of(request, message_id, own=True)
    place = DraftPlace(message=message)
    if request.method == "POST":
        drafts.discard(request.account, place)
        return _done(request, message)
    found = drafts.at(request.account, place)
    if found is None:
        return redirect(address_of(message))
    context = {
        "question": _("Discard this change?"),
        "text": found.content.text if found.content else "",
        "keep": reverse("message-edit", args=[message_id]),
    }
    return render(request, "webmail/discard.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def take_back(request: PageRequest, message_id: str) -> HttpResponse:
    """Take one's message back, for everybody."""
    message = message_of(request, message_id, own=True)
    if request.method != "POST":
        return _asked(request, message, what="take-back")
    try:
        asked = changing.take_back(request.account, message_id, request.POST.get("token", ""))
    except NotFound as error:
        raise Http404 from error
    except CannotSend as error:
        return _asked(request, message, what="take-back", error=error.sentence)
    return _done(request, message) if asked else _gone(request, message.conversation, never_sent=True)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def delete(request: PageRequest, message_id: str) -> HttpResponse:
    """Let go of a message here."""
    message = message_of(request, message_id)
    if request.method != "POST":
        return _asked(request, message, what="delete")
    never_sent = forgetting.forget(request.account, message_id, now=timezone.now())
    return _gone(request, message.conversation, never_sent=never_sent)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def discard(request: PageRequest, message_id: str) -> HttpResponse:
    """Throw away what was delivered to nobody, once that was asked."""
    if request.method != "POST":
        return _asked(request, message_of(request, message_id, own=True), what="discard")
    try:
        conversation = not_arrived.discard(request.account, message_id, now=timezone.now())
    except (Message.DoesNotExist, NotFound) as error:
        raise Http404 from error
    except CannotSend as error:
        if request.htmx:
            found = threads.entry(request.account, message_id)
            answer = render(request, "webmail/_state.html", {"entry": found, "problem": error.sentence})
            answer["HX-Retarget"], answer["HX-Reswap"] = f"#s{message_id}", "outerHTML"
            return answer
        return redirect("message", message_id)
    return _gone(request, conversation, never_sent=False)


@require_POST
@signed_in
def save(request: PageRequest, message_id: str) -> HttpResponse:
    """Save a message, or take it off the list."""
    message = message_of(request, message_id)
    try:
        if request.POST.get("saved") == "no":
            saving.unsave(request.account, message_id)
        else:
            saving.save(request.account, message_id, now=timezone.now())
    except NotFound as error:
        raise Http404 from error
    if request.POST.get("from") == "list":
        return redirect("saved")
    return _done(request, message)


@require_safe
@signed_in
def saved(request: PageRequest) -> HttpResponse:
    """The messages that were saved."""
    after = request.GET.get("after", "")
    found = saving.saved(request.account, after=after)
    return render(request, "webmail/saved.html", {"found": found, "older": bool(after)})


def message_of(request: PageRequest, message_id: str, *, own: bool = False) -> Message:
    """A message that a conversation shows, or one of those that the account wrote there. Raises Http404."""
    rows = Message.objects.filter(account=request.account, message_id=message_id, shown=True, replaces="")
    if own:
        rows = rows.filter(sender_did=request.account.did)
    message = rows.select_related("conversation__account").first()
    if message is None or not consent.may_be_told(message.conversation):
        raise Http404
    return message


def _entry(request: PageRequest, message: Message, **doing: Any) -> HttpResponse:
    topic = topic_on_page(request) if message.topic else ""
    found = threads.entry(request.account, message.message_id, topic=topic)
    context = {"entry": found, "doing": {"id": message.message_id, **doing} if doing else None}
    return render(request, "webmail/_entry.html", context)


def _asked(request: PageRequest, message: Message, **doing: Any) -> HttpResponse:
    """The message with a question or form; without script, in its conversation."""
    status = 422 if doing.get("error") else 200
    if request.htmx:
        answer = _entry(request, message, **doing)
        answer.status_code = status
        return answer
    return conversation_page(
        request,
        message.conversation,
        at=At(around=message.message_id),
        doing={"id": message.message_id, **doing},
        status=status,
    )


def _done(request: PageRequest, message: Message) -> HttpResponse:
    return _entry(request, message) if request.htmx else redirect(address_of(message))


def _gone(request: PageRequest, conversation: Conversation, *, never_sent: bool) -> HttpResponse:
    """Nothing in the place of a message; of one's own that nobody got, that it was so."""
    if request.htmx:
        said = {"problem": _("It was never sent to anybody."), "swap": True}
        return render(request, "webmail/_toast_undo.html", said) if never_sent else HttpResponse("")
    page = reverse("conversation", args=[conversation.conversation_id])
    return redirect(f"{page}?never-sent" if never_sent else page)


def address_of(message: Message) -> str:
    """Where the message is in its conversation."""
    page = reverse("conversation", args=[message.conversation.conversation_id])
    return f"{page}?around={message.message_id}#m{message.message_id}"
