"""What is done with ordinary mail: read, unread, spam, deleted, its sender's address blocked, and back."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail.conversations import NotFound
from webmail.mailbox import MailboxError
from webmail.ordinary import marks, reading
from webmail.views import ordinary
from webmail.views.page_request import PageRequest

#: What the list says of afterwards, and lets be undone.
SAID = ("spam", "delete", "block")


@require_POST
@signed_in
def mark(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Do one of these with a mail; the list follows, where what takes a mail out of it can be undone."""
    do = request.POST.get("do", "seen")
    try:
        _do(request, arrival_id, do)
    except NotFound as error:
        raise Http404 from error
    except MailboxError:
        if request.htmx:
            return HttpResponse(status=503)
        return ordinary.mail_page(request, arrival_id, problem=ordinary.unreachable(), status=503)
    if request.htmx:
        return HttpResponse(status=204)
    if do == "seen":
        return redirect("ordinary-mail", arrival_id)
    mails = redirect("ordinary-mails")
    if do in SAID:
        mails["Location"] += f"?done={do}&of={arrival_id}"
    return mails


def _do(request: PageRequest, arrival_id: int, do: str) -> None:
    account = request.account
    match do:
        case "seen" | "unseen":
            marks.mark_read(account, arrival_id, read=do == "seen")
        case "spam" | "not-spam":
            marks.mark_spam(account, arrival_id, spam=do == "spam")
        case "delete" | "put-back":
            marks.delete(account, arrival_id, back=do == "put-back")
        case "block" | "unblock":
            address = reading.shown(account, arrival_id).mail.sender_address
            if not address:
                raise NotFound(str(arrival_id))
            if do == "block":
                marks.block_sender(account, arrival_id, address)
            else:
                marks.unblock(account, address)
                marks.mark_spam(account, arrival_id, spam=False)
        case _:
            raise NotFound(do)


@require_safe
@signed_in
def unread(request: PageRequest) -> HttpResponse:
    """How much is unread, for the menu of an open page."""
    return render(request, "webmail/_mail_count.html", {"unread": marks.count_waiting(request.account)})


@require_POST
@signed_in
def unblock(request: PageRequest) -> HttpResponse:
    """Unblock an address."""
    address = request.POST.get("address", "")
    if marks.unblock(request.account, address):
        messages.success(request, _("You no longer block %(name)s.") % {"name": address})
    return redirect("blocked")
