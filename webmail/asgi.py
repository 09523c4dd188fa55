"""The web process (ASGI, because open pages hold a stream of events)."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
django.setup(set_prefix=False)

# Django has to be set up before anything of the webmail is loaded.
from webmail.blobs.spool import SpoolFull  # noqa: E402
from webmail.refused_bodies import signed_out, too_large  # noqa: E402
from webmail.request_handler import SpoolingHandler  # noqa: E402
from webmail.uploads import largest_body, needs_sign_in, said_length  # noqa: E402

Event = Mapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

#: The largest body without files; forms are far below it, and an envelope in JSON as well.
MAX_BODY = 1024 * 1024
#: An account may have one of so many parts of SPOOL_BYTES, or one body as long as any may be.
SHARES = 3


class _TooLarge(Exception):
    pass


class BoundedBodies:
    """Answers 413 to a request whose body goes beyond MAX_BODY, or what somebody signed in may upload; 401
    where it is no longer than that, and nobody is signed in.

    Django takes in a whole body before it looks at anything else, however long it is. What comes in slowly,
    or never ends, takes room all the while: of one account there is no more on its way than its share.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        #: Octets of accounts' long bodies; all requests run in one event loop.
        self._on_their_way: Counter[int] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        size = 0
        most, account_pk = await largest_body(scope, MAX_BODY) if scope["type"] == "http" else (0, None)
        most = max(MAX_BODY, most)
        share = max(settings.SPOOL_BYTES // SHARES, most)

        async def bounded() -> Event:
            nonlocal size
            event = await receive()
            added = len(event.get("body", b""))
            size += added
            if account_pk is not None:
                self._on_their_way[account_pk] += added
                if self._on_their_way[account_pk] > share:
                    raise SpoolFull
            if size > most:
                raise _TooLarge
            return event

        try:
            # Nobody sends all of it for that, and a reverse proxy with the same bound has not cut it yet.
            if scope["type"] == "http" and said_length(scope) > most:
                raise _TooLarge
            await self._application(scope, bounded, send)
        except (_TooLarge, SpoolFull) as error:
            if isinstance(error, SpoolFull):
                status = 503
                headers, body = [(b"content-type", b"text/plain")], b"Too many files are on their way.\n"
            elif needs_sign_in(scope, most):
                status = 401
                headers, body = await asyncio.to_thread(signed_out, scope)
            else:
                status = 413
                headers, body = await asyncio.to_thread(too_large, scope, most)
            headers = [*headers, (b"connection", b"close")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        finally:
            if account_pk is not None:
                self._on_their_way[account_pk] -= size
                self._on_their_way += Counter()


application = BoundedBodies(SpoolingHandler())
