"""The stream of events that an open page holds."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from webmail import events


async def stream(request: HttpRequest) -> HttpResponseBase:
    """Server-sent events for the signed-in account; 204 tells a browser without one to stop asking."""
    account = getattr(request, "account", None)
    if account is None:
        return HttpResponse(status=204)
    response = StreamingHttpResponse(events.stream(account.pk), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response
