"""The stream of events that an open page holds."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts.models import OAuthSession
from webmail import events, open_streams
from webmail.idle_connections import let_go_of_database


def stream(request: HttpRequest) -> HttpResponseBase:
    """Server-sent events for the signed-in account; 204 tells a browser without one to stop asking.

    A page says whose it is (``of``, the account's key): where it is not that account that is signed in, the
    page is told that it is signed out.
    429 with Retry-After where too many are open, of the account or in all.
    """
    account = getattr(request, "account", None)
    of = request.GET.get("of", str(account.pk) if account else None)
    if of is None:
        return HttpResponse(status=204)
    if account is None or of != str(account.pk):
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        return HttpResponse(events.SIGNED_OUT, headers=headers)
    place = open_streams.take(account.pk)
    if place is None:
        retry_after = str(open_streams.RETRY_AFTER_SECONDS)
        return HttpResponse(status=429, headers={"Retry-After": retry_after, "Cache-Control": "no-store"})
    unlocked = getattr(request, "unlocked", None)
    left = (unlocked.until - timezone.now()).total_seconds() if unlocked else None
    session: OAuthSession = request.oauth_session  # type: ignore[attr-defined]
    let_go_of_database()
    response = StreamingHttpResponse(
        events.stream(account.pk, left, place, session.pk), content_type="text/event-stream"
    )
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response
