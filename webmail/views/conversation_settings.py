"""Pinning, muting and archiving a conversation."""

from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail.conversation_settings import CHANGES, change
from webmail.conversations import row
from webmail.groups import is_group
from webmail.views.conversation import conversation_of
from webmail.views.page_request import PageRequest


@require_POST
@signed_in
def settings(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Change what `do` names, and go back to `next`. Open pages follow by themselves."""
    conversation = conversation_of(request, conversation_id)
    what = next((each for each in CHANGES if each == request.POST.get("do")), None)
    if what is None:
        return HttpResponseBadRequest()
    change(request.account, conversation, what, now=timezone.now())
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Trigger": "conversations, settings"})
    back = request.POST.get("next", "")
    return redirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "/")


@require_safe
@signed_in
def menu(request: PageRequest, conversation_id: str) -> HttpResponse:
    """What can be changed of a conversation: for a menu that is open, or without script as a page."""
    open_one = conversation_of(request, conversation_id)
    if not request.htmx:
        return render(
            request,
            "webmail/conversation_menu.html",
            {"row": row(request.account, open_one), "of_list": True},
        )
    buttons = {
        "id": open_one.conversation_id,
        "pinned": open_one.pinned,
        "muted": open_one.muted,
        "mentions_muted": open_one.mentions_muted,
        "group": is_group(open_one),
        "archived": open_one.archived_at is not None,
        "left": open_one.left_at is not None,
        "unread": open_one.unread_count,
    }
    # A conversation that is open is being read.
    of_list = request.htmx.target != "settings-buttons"
    return render(request, "webmail/_head_settings.html", {"row": buttons, "of_list": of_list})
