"""The topics of a conversation, and one of them alone."""

from __future__ import annotations

import re

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.sessions import signed_in
from webmail.conversations import row
from webmail.models import Conversation, Message, PendingMessage
from webmail.topic_list import topics_in
from webmail.topics import answers_in
from webmail.views.conversation import conversation_of, conversation_page
from webmail.views.inbox import list_context
from webmail.views.page_request import PageRequest

#: Matched as it is: an address that can't be taken apart is that of no page here.
_PAGE_OF_TOPIC = re.compile(r"https?://[^/?#]+/c/[0-9a-f]{2,128}/t/([0-9a-f]{64})/(?:[?#].*)?", re.ASCII)


@require_safe
@signed_in
def topic_list(request: PageRequest, conversation_id: str) -> HttpResponse:
    """The topics of a conversation, those after the cursor `after`."""
    open_one = conversation_of(request, conversation_id)
    after = request.GET.get("after", "")
    found = None if request.account.locked_here else topics_in(request.account, open_one, after=after)
    context = list_context(request) | {
        "row": row(request.account, open_one),
        "found": found,
        "later": bool(after),
    }
    return render(request, "webmail/topics.html", context)


@require_safe
@signed_in
def topic(request: PageRequest, conversation_id: str, topic: str) -> HttpResponse:
    """One topic alone: the page of its conversation with its messages only. Of a message that no topic began
    with, the page where one may begin."""
    if request.htmx.target == "side":
        return render(request, "webmail/_no_drawer.html")
    open_one = conversation_of(request, conversation_id)
    if not _is_there(open_one, topic):
        raise Http404
    return conversation_page(request, open_one, topic=topic)


def topic_on_page(request: PageRequest) -> str:
    """The key of the topic whose page a part is for; empty for any other page."""
    found = _PAGE_OF_TOPIC.fullmatch(request.htmx.current_url or "")
    return found[1] if found else ""


def _is_there(conversation: Conversation, topic: str) -> bool:
    messages = Message.objects.filter(conversation=conversation, forgotten_at=None)
    pending = PendingMessage.objects.filter(conversation=conversation)
    return (
        answers_in(conversation.pk, topic).filter(forgotten_at=None).exists()
        or messages.filter(message_id=topic, shown=True, replaces="").exists()
        or pending.filter(topic=topic).exists()
        or pending.filter(message_id=topic).exists()
    )
