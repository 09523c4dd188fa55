"""Times are shown in the browser's time zone, which its script names in a cookie."""

from contextlib import AbstractContextManager
from functools import cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest
from django.utils import timezone

from accounts.middleware import Middleware

COOKIE = "zone"


class BrowserTimeZone(Middleware):
    """Activates the zone of the cookie for one request; without a known one, the server's."""

    def during(self, request: HttpRequest) -> AbstractContextManager[object]:
        return timezone.override(zone_of(request))


def zone_of(request: HttpRequest) -> ZoneInfo | None:
    """The time zone that the browser names, if this machine knows it."""
    name = unquote(request.COOKIES.get(COOKIE, ""))
    return ZoneInfo(name) if name in _known_zones() else None


@cache
def _known_zones() -> set[str]:
    return available_timezones()
