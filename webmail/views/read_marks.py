"""Saying that messages were read, or that one is to be read again."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.sessions import signed_in
from webmail import undelivered
from webmail.news import PREFIX
from webmail.read_marks import mark_read, mark_unread
from webmail.views.conversation import conversation_of, page_address, topic_in
from webmail.views.page_request import PageRequest


@require_POST
@signed_in
def seen(request: PageRequest, conversation_id: str) -> HttpResponse:
    """What a page without script has `shown` was read; without any, as menus say it, everything in the
    conversation."""
    open_one = conversation_of(request, conversation_id)
    shown = {each[:PREFIX] for each in request.POST.getlist("shown")}
    if not request.account.locked_here:
        mark_read(request.account, open_one, shown=shown or None)
        undelivered.looked_at(open_one, shown or None)
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Trigger": "conversations"})
    return redirect(page_address(open_one, topic_in(request.POST)))


@require_POST
@signed_in
def unseen(request: PageRequest, conversation_id: str) -> HttpResponse:
    """The last message that was received is to be read again. Leads to the list, where that shows."""
    mark_unread(request.account, conversation_of(request, conversation_id))
    return redirect("inbox")
