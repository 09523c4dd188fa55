"""A local installation has one name, localhost: pages asked for at the numbers are sent there.

Passkeys need a name (WebAuthn refuses IP addresses), and an authorization server sends browsers back to
a number (RFC 8252 §7.3), at which the browser has no session.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect

from accounts.middleware import Middleware
from accounts.oauth_client import LOOPBACK_NUMBERS

#: What a local installation serves at its other name: the frames of ordinary mail, and how they look.
SERVED_AT_NUMBERS = ("/frame/", "/static/")


class CanonicalHost(Middleware):
    """Answers a GET at 127.0.0.1 or [::1] with a redirect to the same path and query at localhost.

    Only where PUBLIC_URL names localhost. Other methods are answered where they arrive: mail does.
    """

    def instead(self, request: HttpRequest) -> HttpResponseBase | None:
        return _elsewhere(request)


def _elsewhere(request: HttpRequest) -> HttpResponseBase | None:
    if settings.PUBLIC_HOST != "localhost" or request.method not in ("GET", "HEAD"):
        return None
    if settings.FRAME_URL and request.path.startswith(SERVED_AT_NUMBERS):
        return None
    if urlsplit(f"//{request.get_host()}").hostname not in LOOPBACK_NUMBERS:
        return None
    target = f"{settings.PUBLIC_URL}{request.get_full_path()}"
    # Its query may hold a code for signing in.
    return HttpResponseRedirect(target, headers={"Cache-Control": "no-store"})
