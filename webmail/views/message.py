"""One message: what is known about it, and trying again."""

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail import outgoing, threads, trust
from webmail.conversations import NotFound
from webmail.message_info import message_info
from webmail.models import Message
from webmail.views.conversation import conversation_of, conversation_page
from webmail.views.requests import PageRequest


@require_safe
@signed_in
def message(request: PageRequest, message_id: str) -> HttpResponse:
    """What is known about a message, in a drawer beside its conversation."""
    try:
        info = message_info(request.account, message_id)
    except NotFound as error:
        raise Http404 from error
    if request.htmx.target == "side":
        return render(request, "webmail/_info.html", {"info": info})
    return conversation_page(request, conversation_of(request, info.conversation_id), info=info)


@require_POST
@signed_in
def retry(request: PageRequest, message_id: str) -> HttpResponse:
    """Try again what was not delivered."""
    try:
        sent = outgoing.retry(request.account, message_id)
    except Message.DoesNotExist as error:
        raise Http404 from error
    if request.htmx:
        entry = threads.entry(request.account, message_id)
        return render(request, "webmail/_state.html", {"entry": entry})
    return _back_to(sent)


@require_POST
@signed_in
def check(request: PageRequest, message_id: str) -> HttpResponse:
    """Ask the sender's server once more who signed a message."""
    rows = Message.objects.select_related("account", "conversation")
    found = rows.filter(account=request.account, message_id=message_id).first()
    if found is None:
        raise Http404
    trust.check_again(found)
    if request.htmx:
        entry = threads.entry(request.account, message_id)
        return render(request, "webmail/_entry.html", {"entry": entry, "tried": True})
    return _back_to(found)


def _back_to(message: Message) -> HttpResponse:
    page = reverse("conversation", args=[message.conversation.conversation_id])
    return redirect(f"{page}#m{message.message_id}")
