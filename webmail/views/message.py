"""One message: what is known about it, and trying again."""

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail import consent, not_arrived, outgoing, threads, trust, undelivered
from webmail.conversations import NotFound
from webmail.message_info import message_info
from webmail.models import Message
from webmail.views.conversation import conversation_of, conversation_page
from webmail.views.page_request import PageRequest
from webmail.views.topics import topic_on_page


@require_safe
@signed_in
def message(request: PageRequest, message_id: str) -> HttpResponse:
    """What is known about a message, in a drawer beside its conversation."""
    try:
        info = message_info(request.account, message_id)
    except NotFound as error:
        raise Http404 from error
    open_one = conversation_of(request, info.conversation_id)
    if request.htmx.target == "side":
        return render(request, "webmail/_info.html", {"info": info, "topic_key": topic_on_page(request)})
    return conversation_page(request, open_one, info=info)


@require_safe
@signed_in
def undelivered_one(request: PageRequest) -> HttpResponse:
    """Leads to the newest message that somebody did not get, as long as nobody has looked at it."""
    found = undelivered.newest(request.account)
    if found is None:
        return redirect("inbox")
    page = reverse("conversation", args=[found.conversation.conversation_id])
    return redirect(f"{page}?around={found.message_id}#m{found.message_id}")


@require_POST
@signed_in
def retry(request: PageRequest, message_id: str) -> HttpResponse:
    """Try again what was not delivered."""
    try:
        return _retried(request, message_id)
    except (Message.DoesNotExist, NotFound) as error:
        # Its time was over, or it was deleted in another window.
        raise Http404 from error


def _retried(request: PageRequest, message_id: str) -> HttpResponse:
    try:
        sent = not_arrived.retry(request.account, message_id)
    except outgoing.CannotSend as error:
        found = threads.entry(request.account, message_id)
        if request.htmx:
            return render(request, "webmail/_state.html", {"entry": found, "problem": error.sentence})
        row = Message.objects.select_related("conversation").get(
            account=request.account, message_id=message_id
        )
        composer = {"error": error.sentence}
        return conversation_page(request, row.conversation, composer=composer, status=422)
    if request.htmx:
        entry = threads.entry(request.account, message_id)
        # A line in the place of a bubble has none under it.
        part = "webmail/_entry.html" if entry.event else "webmail/_state.html"
        return render(request, part, {"entry": entry})
    return _back_to(sent)


@require_POST
@signed_in
def check(request: PageRequest, message_id: str) -> HttpResponse:
    """Ask the sender's server once more who signed a message."""
    rows = Message.objects.select_related("account", "conversation")
    found = rows.filter(account=request.account, message_id=message_id).first()
    # Its sender's server would see that somebody looks at it.
    if found is None or not consent.may_be_told(found.conversation):
        raise Http404
    trust.check_again(found)
    if request.htmx:
        entry = threads.entry(request.account, message_id)
        return render(request, "webmail/_entry.html", {"entry": entry, "tried": True})
    return _back_to(found)


def _back_to(message: Message) -> HttpResponse:
    page = reverse("conversation", args=[message.conversation.conversation_id])
    return redirect(f"{page}#m{message.message_id}")
