"""What others learn from an account: receipts of their messages, and that a link is written to their site."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.sessions import signed_in
from webmail import receipt_choices
from webmail.conversations import row
from webmail.previews import choices as preview_choices
from webmail.receipt_choices import DELIVERED, READ
from webmail.views.conversation import conversation_of
from webmail.views.page_request import PageRequest


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def for_all(request: PageRequest) -> HttpResponse:
    """What holds wherever nothing else was chosen."""
    if request.method == "POST":
        if request.POST.get("about") == "previews":
            preview_choices.choose(request.account, "previews" in request.POST)
        else:
            for status, field in ((DELIVERED, "opened"), (READ, "read")):
                receipt_choices.choose(request.account, status, field in request.POST)
        return redirect(f"{reverse('receipts')}?saved")
    return render(
        request,
        "webmail/receipts.html",
        {
            "opened": receipt_choices.tells(request.account, DELIVERED),
            "read": receipt_choices.tells(request.account, READ),
            "previews": preview_choices.offered(request.account),
            "saved": "saved" in request.GET,
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def for_one(request: PageRequest, conversation_id: str) -> HttpResponse:
    """What holds in one conversation."""
    open_one = conversation_of(request, conversation_id)
    if request.method == "POST":
        receipt_choices.choose(request.account, READ, "read" in request.POST, open_one)
        return redirect(f"{reverse('conversation-receipts', args=[conversation_id])}?saved")
    return render(
        request,
        "webmail/receipts.html",
        {
            "row": row(request.account, open_one),
            "read": receipt_choices.tells(request.account, READ, open_one),
            "saved": "saved" in request.GET,
        },
    )
