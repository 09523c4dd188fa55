"""How the web process answers one request: its body, one thread, its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import connection
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from turns import Turns
from webmail.answering_threads import AnsweringThreads
from webmail.blobs.spool import Spool

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class SpoolingHandler(ASGIHandler):
    """Django's own, but that nothing of a long body can be read on the disk, and that a request goes once to
    a thread, which may have answered another before.

    Views and middleware are synchronous. Django's own handler goes back and forth between the event loop and
    threads for its signals and for the end of an answer too, and starts a thread for them with each request:
    that takes as long as a small page.
    """

    def __init__(self) -> None:
        super().__init__()
        # SQLite works in the thread that asks. PostgreSQL is waited for, a dozen times for a page: another
        # request goes on meanwhile.
        self._threads = AnsweringThreads(turns=Turns(1 if connection.vendor == "sqlite" else 2))

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"not a request of HTTP: {scope['type']}")
        await self.handle(scope, receive, send)

    async def handle(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request. What is not streamed has ended before it is sent, whoever still reads it."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        answering = self._threads.start(
            partial(self._response, scope, body), partial(self._end_unless_streamed, body)
        )
        if self._threads.are_all_busy and await self._left_before(answering, receive):
            body.close()
            return
        response = await asyncio.wrap_future(answering)
        if response.streaming:
            await self._stream(response, body, receive, send)
        else:
            await self.send_response(response, send)

    async def _left_before(self, answering: Future[HttpResponseBase], receive: Receive) -> bool:
        """Whether who asked went away before a thread was free for it: it is not done any more then."""
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        waiting = asyncio.wrap_future(answering)
        await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        return answering.cancel()

    def _response(self, scope: dict[str, Any], body: Spool) -> HttpResponseBase:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        request, error = self.create_request(scope, body)  # type: ignore[arg-type]
        response = self.get_response(request) if request is not None else error
        assert response is not None
        response._handler_class = type(self)  # type: ignore[attr-defined]
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        return response

    def _end_unless_streamed(self, body: Spool, response: HttpResponseBase) -> None:
        if not response.streaming:
            _end(body, response)

    async def _stream(self, response: HttpResponseBase, body: Spool, receive: Receive, send: Send) -> None:
        """Sends it until its end, or until nobody reads any more."""
        try:
            # Parts are made in one thread, which has ended with this: so nothing is closed while it is read.
            async with ThreadSensitiveContext():
                sending = asyncio.create_task(self.send_response(response, send))
                leaving = asyncio.create_task(self.listen_for_disconnect(receive))
                try:
                    await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    leaving.cancel()
                    sending.cancel()
                    sent, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
        finally:
            await asyncio.wrap_future(self._threads.start(partial(_end, body, response)))
        if isinstance(sent, Exception):
            raise sent

    async def read_body(self, receive: Receive) -> Spool:  # type: ignore[override]
        body = Spool()
        try:
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise RequestAborted
                body.write(event.get("body", b""))
                if not event.get("more_body", False):
                    body.seek(0)
                    return body
        except BaseException:
            body.close()
            raise


def _end(body: Spool, response: HttpResponseBase) -> None:
    response.close()
    body.close()
