"""A request is answered in one thread from beginning to end; what is streamed ends with its reader."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
from django.core import signals
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from webmail.request_handler import SpoolingHandler


def answered(response: Callable[[], HttpResponseBase], *, leaves: bool = False) -> list[Mapping[str, Any]]:
    """What is sent; its reader stays, or leaves once it has the first part."""
    sent: list[Mapping[str, Any]] = []

    async def run() -> None:
        has_part, asked = asyncio.Event(), False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b""}
            await (has_part.wait() if leaves else asyncio.Event().wait())
            return {"type": "http.disconnect"}

        async def send(event: Mapping[str, Any]) -> None:
            sent.append(event)
            if event.get("body"):
                has_part.set()

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        handler = SpoolingHandler()
        with patch.object(handler, "get_response", lambda request: response()):
            await asyncio.wait_for(handler(scope, receive, send), 10)

    # In a thread of its own: the browser tests' event loop runs in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()
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
