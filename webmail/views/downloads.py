"""Files that are made while they are downloaded: so many at once, and only for who goes on reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from accounts.models import Account
from webmail.idle_connections import let_go_of_database
from webmail.turns import Turns

#: In one process.
MOST_AT_ONCE = 8
MOST_OF_ONE = 2
#: How long a chunk may wait until the browser takes it.
PATIENCE_S = 60.0
CHUNK_BYTES = 64 * 1024

_turns = Turns(MOST_AT_ONCE, MOST_OF_ONE)


class NoTurn(Exception):
    """As many downloads are made already as may be."""


def no_turn() -> str:
    """The sentence for that."""
    return _("Other downloads are still being made. Try again when one of them is finished.")


class Turn:
    """The right to make one download."""

    def __init__(self, account_pk: int) -> None:
        self._account_pk = account_pk
        self.ended = self.used = False

    def download(self, chunks: Iterator[bytes], name: str, media_type: str) -> StreamingHttpResponse:
        """The chunks as a file to save, which no proxy is to collect first.

        The turn ends with the answer, which closes the chunks as well, if they can be closed.
        """
        self.used = True
        content = _Content(chunks, self.end)
        response = StreamingHttpResponse(content, content_type=media_type)
        response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
        response["X-Accel-Buffering"] = "no"
        return response

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            _turns.give_back(self._account_pk)


@contextmanager
def turn_of(account: Account) -> Iterator[Turn]:
    """A turn, which ends here unless it was used for a download. Raises NoTurn."""
    if not _turns.take(account.pk):
        raise NoTurn
    turn = Turn(account.pk)
    try:
        yield turn
    finally:
        if not turn.used:
            turn.end()


def in_large_chunks(chunks: Iterator[bytes]) -> Generator[bytes]:
    """The same octets in chunks of at least CHUNK_BYTES, but for the last."""
    kept: list[bytes] = []
    size = 0
    for chunk in chunks:
        kept.append(chunk)
        size += len(chunk)
        if size >= CHUNK_BYTES:
            yield b"".join(kept)
            kept, size = [], 0
    if kept:
        yield b"".join(kept)


class _Content:
    """The chunks, each made outside the event loop; while one is on its way no connection is held.

    Who leaves one untaken for PATIENCE_S gets no more: what is half made holds memory, disk and a turn.
    """

    def __init__(self, chunks: Iterator[bytes], ended: Callable[[], None]) -> None:
        self._made = chunks
        self._chunks = in_large_chunks(chunks)
        self._ended = ended
        self._left: asyncio.TimerHandle | None = None

    def __aiter__(self) -> _Content:
        return self

    async def __anext__(self) -> bytes:
        if self._left is not None:
            self._left.cancel()
        chunk = await sync_to_async(self._following)()
        if chunk is None:
            raise StopAsyncIteration
        if (sending := asyncio.current_task()) is not None:
            self._left = asyncio.get_running_loop().call_later(PATIENCE_S, sending.cancel)
        return chunk

    def close(self) -> None:
        """Called by Django when the answer has ended, whichever way."""
        if self._left is not None:
            self._left.cancel()
        try:
            self._chunks.close()
            # Not all iterators have it; a generator that goes away later holds its files until then.
            getattr(self._made, "close", lambda: None)()
        finally:
            self._ended()

    def _following(self) -> bytes | None:
        try:
            return next(self._chunks, None)
        finally:
            let_go_of_database()
