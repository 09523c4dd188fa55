"""The web process (ASGI, because open pages hold a stream of events)."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.core.asgi import get_asgi_application

Event = Mapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

#: The largest body of any request; forms are far below it, and an envelope in JSON as well.
MAX_BODY = 1024 * 1024


class _TooLarge(Exception):
    pass


class BoundedBodies:
    """Answers 413 to a request whose body goes beyond MAX_BODY.

    Django puts a whole body into a temporary file before it looks at anything else, however long it is.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        size = 0

        async def bounded() -> Event:
            nonlocal size
            event = await receive()
            size += len(event.get("body", b""))
            if size > MAX_BODY:
                raise _TooLarge
            return event

        try:
            await self._application(scope, bounded, send)
        except _TooLarge:
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body", "body": b"That is too large.\n"})


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")

application = BoundedBodies(get_asgi_application())
