"""Questions to servers that others name, so that those that are slow or away hold up only who asks for them.

How long a question may take is for the caller to say (`within`). What was seen of a host is kept for all
processes in the cache, from which it goes by itself: a host that failed is left alone by the workers
(`sparing`) for a while that grows with each failure, and then asked by one of them alone.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import redis
from django.core.cache import cache

import outbound

#: How long a host is left alone after its first failure, and at most; each further failure doubles it.
FIRST_REST_SECONDS = 2.0
LONGEST_REST_SECONDS = 60.0
#: An answer that takes longer than this counts as a failure; a question that was given less time does not.
SLOW_SECONDS = 5.0
#: A host that answered well is asked by any number of workers at once for so long.
WELL_FOR_SECONDS = 3600
#: Longer than any question takes; after this one that a killed worker had asked counts no more.
_ASKED_FOR_SECONDS = 30
#: How soon to ask again after somebody else was seen asking.
BUSY_SECONDS = 5.0


class HostResting(httpx.TransportError):
    """The host was not asked: it failed lately, or somebody asks it just now."""


@dataclass
class Spared:
    """What a worker's look-ups came to: for how many seconds a host that they needed is still left alone."""

    seconds: float | None = None


_end: ContextVar[float | None] = ContextVar("end of the time for look-ups", default=None)
_spared: ContextVar[Spared | None] = ContextVar("what look-ups leave alone", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Questions asked in this block end after so many seconds from now, as unanswered."""
    before = _end.get()
    end = time.monotonic() + seconds
    token = _end.set(end if before is None else min(before, end))
    try:
        yield
    finally:
        _end.reset(token)


@contextmanager
def sparing() -> Iterator[Spared]:
    """Hosts that failed lately, or that are new and asked by another worker, are not asked in this block."""
    spared = Spared()
    token = _spared.set(spared)
    try:
        yield spared
    finally:
        _spared.reset(token)


def seconds_left(most: float) -> float:
    """How long the next question may take, ``most`` where nobody set an end."""
    end = _end.get()
    return most if end is None else max(0.0, min(most, end - time.monotonic()))


def get(url: str, *, max_bytes: int, **options: Any) -> httpx.Response:
    """The answer to a GET by the process's guarded client. Raises httpx.HTTPError, as HostResting is."""
    seconds = seconds_left(outbound.DEFAULT_SECONDS)
    if seconds <= 0:
        raise httpx.ReadTimeout("no time was left to ask")
    host = _Host(url)
    with host.asked():
        started = time.monotonic()
        try:
            response = outbound.shared_client().get(
                url, extensions={"max_bytes": max_bytes, "seconds": seconds}, **options
            )
        except outbound.OutboundError:
            # Refused here, which says nothing of the host.
            raise
        except httpx.TransportError as error:
            cut_short = isinstance(error, httpx.TimeoutException) and seconds < SLOW_SECONDS
            if not cut_short:
                host.note_failure()
            raise
        if time.monotonic() - started > SLOW_SECONDS:
            host.note_failure()
        else:
            host.note_answer()
    return response


class _Host:
    """What is known of the host of a URL. Three short entries in the cache, which end by themselves."""

    def __init__(self, url: str) -> None:
        name = hashlib.sha256(urlsplit(url).netloc.lower().encode("utf-8", "replace")).hexdigest()[:32]
        self._rest, self._well, self._asked = (
            f"accounts:host-{kind}:{name}" for kind in ("rest", "well", "asked")
        )

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Raises HostResting if the host is to be spared; else others see that it is being asked."""
        spared = _spared.get()
        if spared is None or cache.get(self._well):
            yield
            return
        rest = cache.get(self._rest)
        left = rest[1] - time.time() if rest else 0.0
        if left > 0:
            spared.seconds = max(spared.seconds or 0.0, left)
            raise HostResting("the host did not answer lately")
        if not cache.add(self._asked, 1, timeout=_ASKED_FOR_SECONDS):
            spared.seconds = max(spared.seconds or 0.0, BUSY_SECONDS)
            raise HostResting("the host is being asked by somebody else")
        try:
            yield
        finally:
            cache.delete(self._asked)

    def note_failure(self) -> None:
        with suppress(redis.RedisError):
            self._note_failure()

    def note_answer(self) -> None:
        with suppress(redis.RedisError):
            if not cache.get(self._well):
                cache.set(self._well, 1, timeout=WELL_FOR_SECONDS)
                cache.delete(self._rest)

    def _note_failure(self) -> None:
        rest = cache.get(self._rest)
        failures = min(rest[0] + 1 if rest else 1, 16)
        seconds = min(FIRST_REST_SECONDS * 2 ** (failures - 1), LONGEST_REST_SECONDS)
        cache.set(self._rest, (failures, time.time() + seconds), timeout=2 * LONGEST_REST_SECONDS)
        cache.delete(self._well)
