"""Pinning, muting and archiving a conversation, and after how long what is written there disappears."""

from urllib.parse import urlencode

from django.http import Http404, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail.blobs.attaching import CannotAttach
from webmail.conversation_settings import CHANGES, change, choose_time
from webmail.conversations import row
from webmail.groups import is_group
from webmail.outgoing import CannotSend
from webmail.views.conversation import composer_of, conversation_of, conversation_page
from webmail.views.page_request import PageRequest


@require_POST
@signed_in
def settings(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Change what `do` names, and go back to `next`, or from what is archived to the list, which says so and
    can undo it. Open pages follow by themselves."""
    conversation = conversation_of(request, conversation_id)
    what = next((each for each in CHANGES if each == request.POST.get("do")), None)
    if what is None:
        return HttpResponseBadRequest()
    change(request.account, conversation, what, now=timezone.now())
    archived = what == "archive"
    if request.htmx:
        said = {"id": conversation_id}
        answer = render(request, "webmail/_toast_archived.html", said) if archived else HttpResponse()
        answer["HX-Trigger"] = "conversations, settings"
        return answer
    if archived:
        return redirect(f"{reverse('inbox')}?{urlencode({'archived': conversation_id})}")
    back = request.POST.get("next", "")
    return redirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "/")


@require_POST
@signed_in
def disappear(request: PageRequest, conversation_id: str) -> HttpResponse:
    """After how long what the account writes here disappears."""
    open_one = conversation_of(request, conversation_id)
    try:
        seconds = int(request.POST.get("seconds", ""))
        choose_time(request.account, open_one, seconds, now=timezone.now())
    except ValueError as error:
        raise Http404 from error
    except (CannotSend, CannotAttach):
        words = _("What is scheduled here can't be written anew for that just now. Nothing was changed.")
        composer = composer_of(request.account, open_one) | {"error": words}
        return conversation_page(request, open_one, composer=composer, status=422)
    return redirect("conversation", conversation_id)


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
    context = {"row": buttons, "of_list": request.htmx.target != "settings-buttons"}
    if "shown" in request.GET:
        # An open page that shows another time is given this one.
        disappears = open_one.expires_after
        context |= {"disappears": disappears, "anew": request.GET["shown"] != str(disappears)}
    return render(request, "webmail/_head_settings.html", context)
