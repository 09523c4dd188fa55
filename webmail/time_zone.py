"""Times are shown in the browser's time zone, which its script names in a cookie."""

from collections.abc import Awaitable, Callable
from functools import cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

Answer = HttpResponseBase | Awaitable[HttpResponseBase]

COOKIE = "zone"


class BrowserTimeZone:
    """Activates the zone of the cookie for one request; without a known one, the server's."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        if iscoroutinefunction(self.get_response):
            return self._later(request)
        with timezone.override(zone_of(request)):
            return self.get_response(request)

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        with timezone.override(zone_of(request)):
            answer = self.get_response(request)
            assert not isinstance(answer, HttpResponseBase)
            return await answer


def zone_of(request: HttpRequest) -> ZoneInfo | None:
    """The time zone that the browser names, if this machine knows it."""
    name = unquote(request.COOKIES.get(COOKIE, ""))
    return ZoneInfo(name) if name in _known_zones() else None


@cache
def _known_zones() -> set[str]:
    return available_timezones()
