"""Requests, the answers to them, and the choice of who may begin a conversation."""

import re
from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.sessions import signed_in
from webmail import blocking, consent, requests
from webmail.conversations import NotFound
from webmail.models import Conversation, WhoMayWrite
from webmail.views.page_request import PageRequest

_HEX = re.compile("[0-9a-f]{2,128}", re.ASCII)


@require_safe
@signed_in
def request_list(request: PageRequest) -> HttpResponse:
    """What waits for an answer, or with `show=declined` what was declined."""
    return _page(request)


@require_POST
@signed_in
def answer(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Accept, decline or block; the card is followed by one line that says what was done."""
    try:
        found = requests.find(request.account, conversation_id)
    except NotFound:
        # Answered in another window.
        return _answered_elsewhere(request, conversation_id)
    card = requests.card(request.account, found)
    do, name = request.POST.get("do"), card.starter.person.name
    if do == "accept":
        consent.accept(request.account, found, timezone.now())
        words = _("You accepted the conversation with %(name)s.") % {"name": name}
    elif do == "decline":
        consent.decline(request.account, found)
        words = _("You declined. %(name)s is not told, and what they write here stays declined.") % {
            "name": name
        }
    elif do == "block":
        consent.decline(request.account, found)
        blocking.block(request.account, card.starter.person.did, timezone.now())
        words = _("You blocked %(name)s. They are not told.") % {"name": name}
    else:
        raise Http404
    done = {"words": words, "accepted": do == "accept", "id": found.conversation_id}
    if request.htmx:
        return render(request, "webmail/_request_done.html", {"done": done})
    if do == "accept":
        return redirect("conversation", found.conversation_id)
    return _page(request, done=done)


def _answered_elsewhere(request: PageRequest, conversation_id: str) -> HttpResponse:
    """The line in the place of a card that is answered already, or all that still wait."""
    if not request.htmx:
        return redirect("requests")
    accepted = Conversation.objects.filter(
        account=request.account,
        conversation_id=conversation_id,
        standing=Conversation.Standing.ACCEPTED,
        blocked=False,
    )
    words = _("You have answered this already, in another window. Nothing more was done.")
    done = {"words": words, "accepted": accepted.exists(), "id": conversation_id}
    return render(request, "webmail/_request_done.html", {"done": done})


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def who_may_write(request: PageRequest) -> HttpResponse:
    """The choice of who may begin a conversation."""
    chosen = request.POST.get("who", "")
    saved = request.method == "POST" and chosen in WhoMayWrite.values
    if saved:
        consent.choose(request.account, WhoMayWrite(chosen))
    context = {
        "chosen": consent.who_may_write(request.account),
        "saved": saved,
        "waiting": requests.count(request.account),
        "blocked": len(blocking.blocked_people(request.account)),
    }
    return render(request, "webmail/who_may_write.html", context)


def not_open(request: HttpRequest, conversation: Conversation) -> HttpResponse:
    """Where a conversation is found that is not open: among the requests, or with whom is blocked."""
    if conversation.blocked:
        return redirect("blocked")
    return redirect(WayBack.to(conversation).address)


@dataclass(frozen=True)
class WayBack:
    """To a request on its page; `declined` says which of the two pages that is."""

    id: str
    address: str
    declined: bool

    @classmethod
    def to(cls, conversation: Conversation) -> "WayBack":
        declined = conversation.standing == Conversation.Standing.DECLINED
        shown = "?show=declined" if declined else ""
        name = conversation.conversation_id
        return cls(name, f"{reverse('requests')}{shown}#r{name}", declined)


def way_back(request: PageRequest) -> WayBack | None:
    """To the `request` that a page was opened from; None for others, and for one that was answered."""
    name = request.GET.get("request", "")
    try:
        found = requests.find(request.account, name) if _HEX.fullmatch(name) else None
    except NotFound:
        return None
    return WayBack.to(found) if found and not found.blocked else None


def _page(request: PageRequest, done: dict[str, object] | None = None) -> HttpResponse:
    declined = request.GET.get("show") == "declined"
    standing = Conversation.Standing.DECLINED if declined else Conversation.Standing.REQUEST
    context = {
        "requests": requests.list_requests(request.account, standing),
        "declined": declined,
        "done": done,
        "choice": consent.who_may_write(request.account),
    }
    partial = request.htmx.target == "requests"
    return render(request, "webmail/_requests.html" if partial else "webmail/requests.html", context)
