"""Middleware does the same in synchronous chains and in asynchronous ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import AsyncClient, Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.middleware import Middleware
from webmail.security import HEADERS, HEADERS_OF_PARTS, SecurityHeaders
from webmail.time_zone import BrowserTimeZone

Ask = Callable[[str, str], HttpResponseBase]


def at_once(path: str, host: str) -> HttpResponseBase:
    return Client().get(path, headers={"Host": host})


def later(path: str, host: str) -> HttpResponseBase:
    # ``get`` would add its own name to this one.
    headers = [(b"host", host.encode())]
    return async_to_sync(AsyncClient().request)(path=path, query_string="", headers=headers)


def answer_of(middleware: Middleware, request: HttpRequest) -> HttpResponseBase:
    """What it answers, waited for where that is needed."""

    async def waited_for() -> HttpResponseBase:
        answer = middleware(request)
        return answer if isinstance(answer, HttpResponseBase) else await answer

    return async_to_sync(waited_for)()


@pytest.mark.django_db
@pytest.mark.parametrize("ask", [at_once, later])
def test_hosts_and_headers_are_the_same_both_ways(ask: Ask, settings: Settings) -> None:
    settings.PUBLIC_URL, settings.PUBLIC_HOST, settings.FRAME_URL = "http://localhost:8000", "localhost", ""
    path = reverse("sign-in")
    for host, status in (("localhost:8000", 200), ("127.0.0.1:8000", 302)):
        answer = ask(path, host)
        assert answer.status_code == status
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    settings.FRAME_URL = "http://127.0.0.1:8000"
    assert ask("/frame/x", "localhost:8000").status_code == 404


def test_what_is_no_page_has_no_headers_of_one(settings: Settings) -> None:
    def headers_of(path: str, content_type: str) -> set[str]:
        middleware = SecurityHeaders(lambda _request: HttpResponse(content_type=content_type))
        return {*answer_of(middleware, RequestFactory().get(path)).headers} - {"Content-Type"}

    for path, content_type in (("/static/app.js", "text/javascript"), ("/avatar/x", "image/webp")):
        assert headers_of(path, content_type) == {*HEADERS_OF_PARTS}
    for path, content_type in (
        ("/service-worker.js", "text/javascript"),
        ("/static/icons.svg", "image/svg+xml"),
    ):
        assert headers_of(path, content_type) == {*HEADERS}


def test_what_is_in_force_is_so_until_the_answer_is_there_and_no_longer() -> None:
    request = RequestFactory().get("/")
    request.COOKIES["zone"] = "Asia/Tokyo"

    def named(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(timezone.get_current_timezone_name())

    async def named_later(request: HttpRequest) -> HttpResponse:
        return named(request)

    for get_response in (named, named_later):
        middleware = BrowserTimeZone(get_response)
        assert iscoroutinefunction(middleware) is iscoroutinefunction(get_response)
        answer = answer_of(middleware, request)
        assert isinstance(answer, HttpResponse)
        assert answer.content == b"Asia/Tokyo"
        assert timezone.get_current_timezone_name() == "UTC"


def test_what_answers_itself_asks_nobody_further() -> None:
    class Closed(Middleware):
        """Lets nobody in."""

        def instead(self, request: HttpRequest) -> HttpResponseBase | None:
            return HttpResponse(status=410)

        def finished(self, request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
            answer.headers["Seen"] = "yes"
            return answer

    def never(_request: HttpRequest) -> HttpResponse:
        raise AssertionError("asked")

    async def never_later(request: HttpRequest) -> HttpResponse:
        return never(request)

    request = RequestFactory().get("/")
    for answer in (answer_of(Closed(never), request), answer_of(Closed(never_later), request)):
        assert isinstance(answer, HttpResponse)
        assert (answer.status_code, answer.headers["Seen"]) == (410, "yes")
