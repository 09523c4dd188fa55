"""For how long what was sent may be taken back."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.sessions import signed_in
from webmail import undo_choices
from webmail.views.page_request import PageRequest


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def choice(request: PageRequest) -> HttpResponse:
    """The choice and its page."""
    refused = False
    if request.method == "POST":
        seconds = request.POST.get("seconds", "")
        offered = {str(each): each for each in undo_choices.offered_to(request.account)}
        if seconds in offered:
            undo_choices.choose(request.account, offered[seconds])
            return redirect(f"{reverse('undo-send')}?saved")
        refused = True
    context = {
        "offered": undo_choices.offered_to(request.account),
        "chosen": undo_choices.seconds_of(request.account),
        "saved": "saved" in request.GET and not refused,
        "refused": refused,
    }
    return render(request, "webmail/undo_send.html", context, status=422 if refused else 200)
