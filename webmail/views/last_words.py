"""What a page that is left had still to send to its conversation."""

import json
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict
from django.views.decorators.http import require_POST

from accounts.sessions import signed_in
from webmail.views.conversation import send_to
from webmail.views.page_request import PageRequest
from webmail.views.signed_out import page_that_stays

#: What waits in one page is far less; each takes as long as a message that is sent by itself.
MOST = 100


@require_POST
@signed_in(when_signed_out=page_that_stays)
def send_all(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Send one ``message`` after the other: each has the names and values of its form, in JSON.

    One that is refused holds back none of the others: there is no page any more that would send them again.
    """
    try:
        forms = [_form(message) for message in request.POST.getlist("message")[:MOST]]
    except (ValueError, TypeError, RecursionError):
        return HttpResponse(status=400)
    for form in forms:
        request.POST = QueryDict(form)
        send_to(request, conversation_id)
    return HttpResponse(status=204)


def _form(message: str) -> str:
    """What a form would send. Raises ValueError, TypeError or RecursionError for what is none."""
    return urlencode([(name, value) for name, value in json.loads(message)])
