"""The security headers that every answer carries."""

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


class SecurityHeaders(Middleware):
    """Adds HEADERS to each answer that does not set its own."""

    def finished(self, request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer
