"""The host name of frames serves frames and what they look like, and pages are nowhere in a frame's reach."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import translation

from accounts.middleware import Middleware
from webmail.ordinary import frame

PATH = "/frame/"
#: With the hash that stands in the name of a collected file.
STYLE = "/static/ordinary."


class FrameHost(Middleware):
    """Answers 404 for pages at the frames' host name, and for frames at the pages'."""

    def instead(self, request: HttpRequest) -> HttpResponseBase | None:
        return _not_here(request) if is_misplaced(request) else None

    def finished(self, request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
        """A sandboxed frame is of no origin, so that its style sheet is another origin's to it."""
        if request.path.startswith(STYLE):
            answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return answer


def is_misplaced(request: HttpRequest) -> bool:
    """Whether a request came to the wrong one of the two host names."""
    if not frame.is_set_up():
        return False
    at_frames = request.get_host().rpartition(":")[0] == frame.host() or request.get_host() == frame.host()
    for_frames = request.path.startswith(PATH)
    if for_frames:
        return not at_frames
    # A local installation has two names for one place: other pages are sent on (canonical_host.py).
    return at_frames and settings.PUBLIC_HOST != "localhost" and not request.path.startswith("/static/")


def _not_here(request: HttpRequest) -> HttpResponse:
    # This comes before the middleware that knows the language.
    with translation.override(translation.get_language_from_request(request)):
        return HttpResponse(
            translation.gettext("Not here."), status=404, content_type="text/plain; charset=utf-8"
        )
