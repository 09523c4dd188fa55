"""The way to what mentions the account."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from accounts.sessions import signed_in
from webmail.mentions import first_unread
from webmail.views.conversation import conversation_of, page_address
from webmail.views.page_request import PageRequest


@require_safe
@signed_in
def mention(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Leads to the oldest unread message of the conversation that mentions the account; to the conversation
    where there is none any more."""
    open_one = conversation_of(request, conversation_id)
    page, first = page_address(open_one), first_unread(open_one)
    return redirect(f"{page}?around={first}#m{first}" if first else page)
