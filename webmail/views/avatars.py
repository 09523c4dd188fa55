"""The profile pictures of people."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from accounts import handles
from accounts.sessions import account_of
from webmail import avatars, consent
from webmail.images.child import AVATAR_PIXELS

SECONDS = 24 * 3600


@require_GET
def avatar(request: HttpRequest, did: str) -> HttpResponse:
    """The profile picture of a DID, larger with ``large``, for signed-in people only; 404 without one: pages
    show initials then."""
    pixels = max(AVATAR_PIXELS) if "large" in request.GET else min(AVATAR_PIXELS)
    account, picture = account_of(request), None
    if account and handles.is_did(did):
        may_ask = consent.may_hear_of_a_look(account, did)
        picture = (
            avatars.avatar_of(did, pixels, account.pk) if may_ask else avatars.kept_avatar_of(did, pixels)
        )
    if picture is None:
        return HttpResponse(status=404, headers={"Cache-Control": "private, max-age=60"})
    return HttpResponse(
        picture,
        content_type=avatars.MEDIA_TYPE,
        headers={
            "Cache-Control": f"private, max-age={SECONDS}",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
        },
    )
