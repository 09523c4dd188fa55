"""The security headers that every answer carries."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from accounts.middleware import Middleware

#: Nothing from elsewhere, nothing inline, nothing framed.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

_NEVER_USED = "geolocation=(), microphone=(), payment=(), usb=()"
#: For the one page that reads a code with the camera.
PERMISSIONS_WITH_CAMERA = f"camera=(self), {_NEVER_USED}"

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": f"camera=(), {_NEVER_USED}",
    "X-DNS-Prefetch-Control": "off",
}


#: For styles, scripts and pictures, of which no browser makes a page: a first page has two dozen of them, and
#: all that concerns pages alone would be a tenth of what it weighs.
HEADERS_OF_PARTS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": HEADERS["Cross-Origin-Resource-Policy"],
}
#: Not SVG, which may be a page with scripts.
_PICTURES = ("image/png", "image/webp")
#: Not the service worker, which is a script as well, and asks for things by its own policy.
_STATIC = (*_PICTURES, "text/css", "text/javascript")


class SecurityHeaders(Middleware):
    """Adds HEADERS to each answer that does not set its own, or HEADERS_OF_PARTS."""

    def finished(self, request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
        is_static = request.path_info.startswith(settings.STATIC_URL)
        is_part = answer.headers.get("Content-Type", "").startswith(_STATIC if is_static else _PICTURES)
        for name, value in (HEADERS_OF_PARTS if is_part else HEADERS).items():
            answer.headers.setdefault(name, value)
        return answer
