"""Calls and answers that carry a file: ``4-byte length ‖ JSON ‖ bytes``, the bytes never whole in memory.

The JSON is held to the method's lexicon as any other. The content type of both is STREAM.
"""

import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.http.request import UnreadablePostError

from crypto_agent.errors import InvalidRequest, PayloadTooLarge, TooManyFiles
from crypto_agent.framed_json import HEAD_BYTES, MOST_JSON_BYTES, STREAM, head

CHUNK_BYTES = 256 * 1024
#: Fewer than the agent's threads, so that files can't hold up everything else.
MOST_AT_ONCE = 4
#: The largest file that the lexicons allow, its tag, and the JSON before it.
MOST_BYTES = 100 * 1024 * 1024 + 16 + HEAD_BYTES + MOST_JSON_BYTES

_running = threading.BoundedSemaphore(MOST_AT_ONCE)


class FramedBody:
    """The body of a call that carries a file: first ``json()``, then ``chunks()``."""

    def __init__(self, request: HttpRequest) -> None:
        if request.method != "POST" or request.content_type != STREAM:
            raise InvalidRequest(f"the method is a procedure: use POST with {STREAM}")
        size = request.headers.get("Content-Length", "")
        if not size.isdecimal():
            raise InvalidRequest("the body's length is missing")
        if int(size) > MOST_BYTES:
            raise PayloadTooLarge("the body is too large")
        self._request = request
        self.left = int(size)

    def json(self) -> bytes:
        """The JSON before the bytes, not read yet; raises InvalidRequest for a wrong length."""
        size = int.from_bytes(self._exactly(HEAD_BYTES), "big")
        if size > MOST_JSON_BYTES:
            raise InvalidRequest("the JSON before the file is too long")
        return self._exactly(size)

    def chunks(self) -> Iterator[bytes]:
        """The bytes after the JSON; raises InvalidRequest if the body ends before its length."""
        while self.left:
            yield self._read(min(self.left, CHUNK_BYTES))

    def skip(self) -> None:
        """Reads what is left, so that a caller who still writes gets to see the answer."""
        for _ in self.chunks():
            pass

    def _exactly(self, size: int) -> bytes:
        if size > self.left:
            raise InvalidRequest("the body ended early")
        data = b""
        while len(data) < size:
            data += self._read(size - len(data))
        return data

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._request.read(size)
        except (UnreadablePostError, OSError):
            data = b""
        if not data:
            self.left = 0
            raise InvalidRequest("the body ended early")
        self.left -= len(data)
        return data


class Spool:
    """An unlinked temporary file for encrypted bytes, and one of the places for a file to be worked on.

    Close it in the end. Raises TooManyFiles while all places are taken.
    """

    def __init__(self) -> None:
        if not _running.acquire(blocking=False):
            raise TooManyFiles("too many files are being worked on")
        self._lock = threading.Lock()
        self._open = True
        try:
            self.file: BinaryIO = tempfile.TemporaryFile(dir=settings.DATA_DIR)  # noqa: SIM115
        except BaseException:
            _running.release()
            raise

    def close(self) -> None:
        with self._lock:
            if not self._open:
                return
            self._open = False
        self.file.close()
        _running.release()


@dataclass(frozen=True)
class FramedAnswer:
    """The JSON of an answer and the ``size`` bytes after it, in chunks; close it when they are sent."""

    json: dict[str, Any]
    size: int
    chunks: Iterator[bytes]
    spool: Spool

    def close(self) -> None:
        self.spool.close()


class _Sending:
    """An iterator for Django, which closes it when the answer was sent or its reader went away."""

    def __init__(self, answer: FramedAnswer, first: bytes) -> None:
        self._answer = answer
        self._chunks = chain((first,), answer.chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._answer.close()


def framed_response(answer: FramedAnswer) -> StreamingHttpResponse:
    """The answer over HTTP, its length known beforehand."""
    first = head(answer.json)
    return StreamingHttpResponse(
        _Sending(answer, first),
        content_type=STREAM,
        headers={"Content-Length": str(len(first) + answer.size)},
    )
