"""How often strangers, and people here, may have other servers asked. Counted for all processes together.

Counted in the cache (Redis), in windows of WINDOW_SECONDS. Without it nobody is kept out: whoever is let in
too often costs some requests, which are bounded by themselves, and whoever is kept out cannot sign in.
"""

import hashlib
import ipaddress
import logging
import time
import unicodedata
from dataclasses import dataclass

import redis
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import ngettext

log = logging.getLogger(__name__)

WINDOW_SECONDS = 600
#: How many networks' sign-ins all networks of one site have together.
SITE_FACTOR = 4
#: How often somebody may have their own repository looked at, in a window.
LOOKS_OF_ONE = 10


@dataclass(frozen=True)
class Limit:
    """At most ``most`` in a window, for each of ``who``; ``uses`` of them at once."""

    name: str
    who: str
    most: int
    uses: int = 1


class TooOften(Exception):
    """A limit is used up; ``retry_after`` is the number of seconds until the next window."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too often")
        self.retry_after = retry_after

    @property
    def minutes(self) -> int:
        return -(-self.retry_after // 60)


def take(*limits: Limit, now_s: float | None = None) -> None:
    """Counts uses against each of the limits, in order; raises TooOften at the first that is used up.

    Those behind it are not counted, so that one who is kept out uses up nothing of what all share.
    """
    now = int(time.time() if now_s is None else now_s)
    try:
        for limit in limits:
            if _count(limit, now // WINDOW_SECONDS) > limit.most:
                raise TooOften(WINDOW_SECONDS - now % WINDOW_SECONDS)
    except redis.RedisError as error:
        log.warning("no limit was counted: %s", type(error).__name__)


def take_sign_in(request: HttpRequest) -> None:
    """One attempt to begin signing in, by whoever sends the request. Raises TooOften."""
    site = client_site(request)
    take(
        Limit("sign-in-of", client_network(request), settings.SIGN_INS_OF_ONE),
        *([Limit("sign-in-of-site", site, SITE_FACTOR * settings.SIGN_INS_OF_ONE)] if site else []),
        Limit("sign-in", "all", settings.SIGN_INS_OF_ALL),
    )


def take_admin_sign_in(request: HttpRequest, name: str, browser: str | None = None) -> None:
    """One try of an administrator's password, whether it is right or not. Raises TooOften.

    ``browser`` is one in which that name has signed in before: its tries are its own, whatever strangers do.
    """
    if browser is not None:
        return take(Limit("admin-browser", browser, settings.ADMIN_SIGN_INS_OF_ONE))
    site = client_site(request)
    take(
        Limit("admin-of", client_network(request), settings.ADMIN_SIGN_INS_OF_ONE),
        *([Limit("admin-of-site", site, SITE_FACTOR * settings.ADMIN_SIGN_INS_OF_ONE)] if site else []),
        Limit("admin", as_one_name(name), settings.ADMIN_SIGN_INS_OF_NAME),
    )


def take_second_factor(request: HttpRequest, user_pk: int) -> None:
    """One try of an administrator's second factor, whether it holds or not. Raises TooOften."""
    site, of_one = client_site(request), settings.ADMIN_SIGN_INS_OF_ONE
    take(
        Limit("admin-factor-of", client_network(request), of_one),
        *([Limit("admin-factor-of-site", site, SITE_FACTOR * of_one)] if site else []),
        Limit("admin-factor", str(user_pk), settings.ADMIN_SIGN_INS_OF_NAME),
    )


def as_one_name(name: str) -> str:
    """As Django's form of sign-in cuts it, and beyond: case, width and blanks around it do not count."""
    return unicodedata.normalize("NFKC", name).strip().casefold()[:150]


def take_searches(account_pk: int, people: int) -> None:
    """So many people looked up by somebody who is signed in. Raises TooOften."""
    take(Limit("search", str(account_pk), settings.SEARCHES_OF_ONE, people))


def take_look(account_pk: int) -> None:
    """One look at what is published of somebody's own account, when they ask for it. Raises TooOften."""
    take(Limit("look", str(account_pk), LOOKS_OF_ONE))


def take_suggestion(account_pk: int) -> None:
    """One look among the people whom somebody knows, while they type. Raises TooOften."""
    take(Limit("suggestion", str(account_pk), settings.SUGGESTIONS_OF_ONE))


def client_network(request: HttpRequest) -> str:
    """The client's address, of IPv6 the /64 that one household has.

    It is the other end of the connection. A reverse proxy's X-Forwarded-For is put in its place by uvicorn
    (--forwarded-allow-ips), from the proxies that the operator names, and is otherwise not looked at.
    """
    address = request.META.get("REMOTE_ADDR", "")
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(read, ipaddress.IPv6Address):
        if read.ipv4_mapped:
            return str(read.ipv4_mapped)
        return str(ipaddress.ip_network((read, 64), strict=False))
    return str(read)


def client_site(request: HttpRequest) -> str | None:
    """The /48 of the client's IPv6 address, None for others.

    Many people are given all of one (RFC 6177), with 65,536 networks that would each count by itself.
    """
    network = client_network(request)
    return str(ipaddress.ip_network(network).supernet(new_prefix=48)) if network.endswith("/64") else None


def too_often_page(request: HttpRequest, error: TooOften) -> HttpResponse:
    """The page that says when to come back."""
    return refused(render(request, "429.html", {"minutes": error.minutes}), error)


def tried_too_often(error: TooOften) -> str:
    """What a form says that was sent too often from one place: when it works again, in whole minutes."""
    sentence = ngettext(
        "This was tried so often from here that the server takes a break. Try again in %(minutes)s minute.",
        "This was tried so often from here that the server takes a break. Try again in %(minutes)s minutes.",
        error.minutes,
    )
    return sentence % {"minutes": error.minutes}


def too_many_people(error: TooOften) -> str:
    """What a form says where too many people were looked up: when it works again, in whole minutes."""
    sentence = ngettext(
        "You looked for very many people. Try again in %(minutes)d minute.",
        "You looked for very many people. Try again in %(minutes)d minutes.",
        error.minutes,
    )
    return sentence % {"minutes": error.minutes}


def refused(answer: HttpResponse, error: TooOften) -> HttpResponse:
    """A page that says so, as programs know it (RFC 6585 §4)."""
    answer.status_code = 429
    answer["Retry-After"] = str(error.retry_after)
    answer["Cache-Control"] = "no-store"
    return answer


def _count(limit: Limit, window: int) -> int:
    # Addresses are not kept in the clear.
    who = hashlib.sha256(f"{settings.SECRET_KEY}{limit.who}".encode()).hexdigest()[:32]
    key = f"accounts:limit:{limit.name}:{who}:{window}"
    cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
    try:
        return int(cache.incr(key, limit.uses))
    except ValueError:
        # It ended between the two.
        return limit.uses
