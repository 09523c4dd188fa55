"""The floor: the same pages, each rendered from constants by a view that does nothing else.

Each is asked for once as its page is, by a browser that is signed in, with the real views and the real agent;
what its template is given then stays, and is all that it is rendered from. The views stand behind
Django's own handler, without any middleware.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import django

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.template.backends.django import Template  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import include, path  # noqa: E402

from bench.web.asked import Asked, pages  # noqa: E402

Rendered = tuple[Template, Any, HttpRequest]


def _captured(asked: Asked, cookies: dict[str, str]) -> Rendered:
    """The template that the page is made of, and what it is given."""
    found: list[Rendered] = []
    render = Template.render

    def captured(template: Template, context: Any = None, request: Any = None) -> Any:
        found.append((template, context, request))
        return render(template, context, request)

    client = Client(headers={"host": settings.PUBLIC_HOST, **asked.headers})
    client.cookies.load(cookies)
    with patch.object(Template, "render", captured):
        answer = client.get(asked.path) if asked.form is None else client.post(asked.path, asked.form())
    assert answer.status_code == 200, (asked, answer.status_code)
    return found[-1]


def _view(rendered: Rendered) -> Any:
    template, context, request = rendered

    def view(_request: HttpRequest, **_arguments: str) -> HttpResponse:
        return HttpResponse(template.render(context, request))

    return view


_told = json.loads(os.environ["WAXWING_BENCH_PAGES"])


def _take_back_what_was_sent() -> None:
    """What was sent to see its page would wait in the conversation, and each page of it would show that."""
    from webmail.models import PendingMessage

    PendingMessage.objects.all().delete()


# The server loads this within its event loop, where no database may be asked.
with override_settings(ROOT_URLCONF="webmail.urls"), ThreadPoolExecutor(1) as thread:
    urlpatterns = [
        *(
            path(f"bare/{name}", _view(thread.submit(_captured, asked, _told["cookies"]).result()))
            for name, asked in pages(_told).items()
        ),
        # Templates name them.
        path("", include("webmail.urls")),
    ]
    thread.submit(_take_back_what_was_sent).result()

settings.MIDDLEWARE = []
settings.ROOT_URLCONF = __name__
application = ASGIHandler()
