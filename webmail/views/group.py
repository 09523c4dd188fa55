"""The people of a conversation, and the name and picture of a group."""

from uuid import uuid4

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.profiles import clean_name
from accounts.sessions import signed_in
from webmail import disappearing, left_groups, outgoing
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.conversations import others_in, row
from webmail.group_page import group_page, name_group
from webmail.group_picture import MOST_CHOSEN_BYTES, change_picture, picture_of, too_large, update_of
from webmail.groups import LONGEST_NAME, is_group
from webmail.images.decoding import SHOWN_TYPES
from webmail.models import Conversation
from webmail.outgoing import CannotSend
from webmail.shown_message import may_be_kept
from webmail.views.conversation import conversation_of
from webmail.views.page_request import PageRequest
from webmail.views.sealed_pictures import no_picture, sealed_picture


@require_safe
@signed_in
def people(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Who is in a conversation, with how many devices, and what can be changed about it."""
    return _page(request, conversation_of(request, conversation_id))


@require_POST
@signed_in
def name(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Name the group for everybody in it."""
    conversation = _group_of(request, conversation_id)
    typed = request.POST.get("name", "")
    try:
        name_group(request.account, conversation, typed, request.POST.get("token", ""))
    except CannotSend as error:
        return _page(request, conversation, problem=error.sentence, typed=typed, status=422)
    given = clean_name(typed)
    said = _("The group is called %(name)s now, for everybody in it.") % {"name": given}
    messages.success(request, said if given else _("The group goes by the names of its people again."))
    return redirect("conversation-people", conversation_id)


@require_POST
@signed_in
def picture(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Give the group a picture for everybody in it."""
    conversation = _group_of(request, conversation_id)
    chosen = request.FILES.get("picture")
    try:
        if not isinstance(chosen, UploadedFile):
            raise CannotSend("empty", _("Choose a picture first."))
        change_picture(request.account, conversation, chosen.chunks(), request.POST.get("token", ""))
    except CannotSend as error:
        return _page(request, conversation, picture_problem=error.sentence, status=422)
    messages.success(request, _("The group has that picture now, for everybody in it."))
    return redirect("conversation-people", conversation_id)


@require_POST
@signed_in
def leave(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Leave a group; with `do` as "tell" the others first get what was written for them."""
    conversation = _group_of(request, conversation_id)
    if request.POST.get("do") == "tell" and conversation.left_at is None:
        words = request.POST.get("words", "")
        try:
            recipients = others_in(request.account, conversation)
            token, expires = request.POST.get("token", ""), disappearing.chosen(conversation)
            outgoing.send(request.account, recipients, words, token, expires=expires)
        except CannotSend as error:
            return _page(request, conversation, leaving_problem=error.sentence, parting=words, status=422)
    left_groups.leave(request.account, conversation, now=timezone.now())
    return redirect("conversation", conversation_id)


@require_safe
@signed_in
def picture_of_group(request: PageRequest, message_id: str) -> HttpResponse:
    """The picture that the group update with this id gave, as it was made anew here."""
    try:
        update = update_of(request.account, message_id)
    except CannotFetch as error:
        return no_picture(error)
    return sealed_picture(
        request,
        message_id,
        lambda: picture_of(request.account, update),
        may_be_kept=may_be_kept(request.account, update),
    )


def _group_of(request: PageRequest, conversation_id: str) -> Conversation:
    conversation = conversation_of(request, conversation_id)
    if not is_group(conversation):
        raise Http404
    return conversation


def _page(
    request: PageRequest,
    conversation: Conversation,
    *,
    problem: str = "",
    typed: str | None = None,
    picture_problem: str = "",
    leaving_problem: str = "",
    parting: str = "",
    status: int = 200,
) -> HttpResponse:
    shown = row(request.account, conversation)
    context = {
        "row": shown,
        "group": group_page(request.account, conversation, timezone.now()),
        "typed": shown.name if typed is None else typed,
        "problem": problem,
        "picture_problem": picture_problem,
        "leaving_problem": leaving_problem,
        "parting": parting or _("I am leaving this conversation."),
        "left_at": conversation.left_at,
        "disappears": conversation.expires_after,
        "said": messages.get_messages(request),
        "token": str(uuid4()),
        "longest_name": LONGEST_NAME,
        "largest_picture": MOST_CHOSEN_BYTES,
        "too_large": too_large(),
        "picture_types": ",".join(sorted(SHOWN_TYPES)),
    }
    return render(request, "webmail/people.html", context, status=status)
