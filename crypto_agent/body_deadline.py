"""An end to waiting for the body of a request, however slowly it comes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.http import HttpRequest


@contextmanager
def body_within(request: HttpRequest, seconds: float) -> Iterator[None]:
    """While this is open, what is read of ``request`` ends after ``seconds``, as if its sender had gone away.

    gunicorn's threads wait for bytes without an end, and a limit for each wait would be no limit for a sender
    who sends one byte at a time. The connection is closed to what comes, and open for the answer. A request
    that came another way is here already.
    """
    connection: socket.socket | None = request.META.get("gunicorn.socket")
    if connection is None:
        yield
        return
    timer = threading.Timer(seconds, _end_reading, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_reading(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
