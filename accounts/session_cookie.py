"""The cookie with the key of a browser's session."""

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse


class SessionCookie(SessionMiddleware):
    """Django's own, but that only a request which ends a session takes the cookie away.

    A tab may ask with the former key while another one signs in. Its answer comes last, and would take the
    new key away, not the former one.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        answer = super().process_response(request, response)
        if request.session.is_empty() and not request.session.modified:
            answer.cookies.pop(settings.SESSION_COOKIE_NAME, None)
        return answer
