"""What middleware of both kinds of chains has in common: Django's own way between them
(django.utils.deprecation.MiddlewareMixin) would send every request through a thread of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class Middleware:
    """Middleware whose own part needs no waiting, for synchronous and asynchronous chains.

    A subclass says one or several of: what to answer ``instead`` of going on, what holds ``during`` all of
    that, and how it is ``finished``.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        if iscoroutinefunction(self.get_response):
            return self._later(request)
        with self.during(request):
            answer = self.instead(request) or self.get_response(request)
            assert isinstance(answer, HttpResponseBase)
            return self.finished(request, answer)

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        with self.during(request):
            answer = self.instead(request) or self.get_response(request)
            return self.finished(request, answer if isinstance(answer, HttpResponseBase) else await answer)

    def instead(self, request: HttpRequest) -> HttpResponseBase | None:
        """The answer that this middleware gives itself, if it does."""
        return None

    def during(self, request: HttpRequest) -> AbstractContextManager[object]:
        """What is in force while the request is answered."""
        return nullcontext()

    def finished(self, request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
        """The answer, with what this middleware adds to it."""
        return answer
