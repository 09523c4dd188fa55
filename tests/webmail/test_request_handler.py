"""A request is answered in one thread from beginning to end; what is streamed ends with its reader."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import sync_to_async
from django.core import signals
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from webmail import answering_threads
from webmail.request_handler import SpoolingHandler


def answered(response: Callable[[], HttpResponseBase], *, leaves: bool = False) -> list[Mapping[str, Any]]:
    """What is sent; its reader stays, or leaves once it has the first part."""
    # In a thread of its own: the browser tests' event loop runs in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, course(SpoolingHandler(), response, leaves=leaves)).result()


async def course(
    handler: SpoolingHandler,
    response: Callable[[], HttpResponseBase],
    *,
    leaves: asyncio.Event | bool = False,
) -> list[Mapping[str, Any]]:
    sent: list[Mapping[str, Any]] = []
    left = leaves if isinstance(leaves, asyncio.Event) else asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b""}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(event: Mapping[str, Any]) -> None:
        sent.append(event)
        if event.get("body") and leaves is True:
            left.set()

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    with patch.object(handler, "get_response", lambda request: response()):
        await asyncio.wait_for(handler(scope, receive, send), 20)
    return sent


@pytest.fixture
def threads() -> Iterator[list[int]]:
    """Where requests began and ended, in turn."""
    seen: list[int] = []

    def note(**_: object) -> None:
        seen.append(threading.get_ident())

    both = (signals.request_started, signals.request_finished)
    for signal in both:
        signal.connect(note)
    yield seen
    for signal in both:
        signal.disconnect(note)


def test_one_thread_does_all(threads: list[int]) -> None:
    def response() -> HttpResponse:
        threads.append(threading.get_ident())
        return HttpResponse("words")

    sent = answered(response)
    assert [event.get("body") for event in sent] == [None, b"words"]
    assert len(threads) == 3
    assert len(set(threads)) == 1


def test_what_is_streamed_ends_after_its_last_part(threads: list[int]) -> None:
    response = StreamingHttpResponse(_parts(2))
    sent = answered(lambda: response)
    assert b"".join(event.get("body", b"") for event in sent) == b"partpart"
    assert response.closed
    assert len(threads) == 2


def test_what_is_streamed_ends_when_its_reader_leaves(threads: list[int]) -> None:
    ended: list[bool] = []
    response = StreamingHttpResponse(_parts(None, lambda: ended.append(True)))
    answered(lambda: response, leaves=True)
    assert ended == [True]
    assert response.closed
    assert len(threads) == 2


def test_what_breaks_while_it_is_streamed_is_told_to_the_server() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"part"
        raise OSError("it can't be read")

    with pytest.raises(OSError, match="can't be read"):
        answered(lambda: StreamingHttpResponse(broken()))


async def _parts(number: int | None, ended: Callable[[], None] = lambda: None) -> AsyncIterator[bytes]:
    """So many parts, or parts without an end."""
    sent = 0
    try:
        while sent != number:
            sent += 1
            yield b"part"
            await asyncio.sleep(0)
    finally:
        ended()


def test_nothing_is_closed_while_a_part_of_it_is_made() -> None:
    closed_while: list[bool] = []
    making, has_left = threading.Event(), threading.Event()

    class Parts:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"part"
            yield await sync_to_async(self.make)()

        def make(self) -> bytes:
            making.set()
            has_left.wait(0.3)
            making.clear()
            return b"part"

        def close(self) -> None:
            closed_while.append(making.is_set())

    answered(lambda: StreamingHttpResponse(Parts()), leaves=True)
    assert closed_while == [False]


def test_what_waits_for_a_thread_is_not_done_for_who_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering_threads, "MOST_THREADS", 1)
    handler = SpoolingHandler()
    done: list[str] = []
    may_end = threading.Event()

    def slow() -> HttpResponse:
        may_end.wait(10)
        done.append("slow")
        return HttpResponse()

    def quick() -> HttpResponse:
        done.append("quick")
        return HttpResponse()

    async def both() -> None:
        first = asyncio.create_task(course(handler, slow))
        await asyncio.sleep(0.05)
        left = asyncio.Event()
        left.set()
        assert await course(handler, quick, leaves=left) == []
        may_end.set()
        assert await first

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, both()).result()
    assert done == ["slow"]
