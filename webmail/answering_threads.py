"""The threads in which requests are answered, and which of them keep their connection to the database.

Django opens a connection for each request: PostgreSQL starts a process for it, SQLite reads its schema again.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from django.core.signals import request_started
from django.db import connections
from django.dispatch import receiver

from turns import Turns, computing

#: Of one process. Threads that wait for other servers are many at times; they are made as they are needed.
MOST_THREADS = 512
MOST_KEPT = 8
#: A connection that is older is opened anew.
KEPT_SECONDS = 60
#: A connection that was used so recently is taken for sound. A server that is cut off says nothing.
MOMENTS_S = 2.0

Done = TypeVar("Done")
#: Of each thread: when it last had its connections in use, and whether it keeps them.
_here = threading.local()


@receiver(request_started)
def spare_round_trips(**_: object) -> None:
    """Has no question put to the database of whether it still answers (CONN_HEALTH_CHECKS) where nothing came
    over its connection, which answered moments ago: a server that ends one says so, or closes it."""
    if time.monotonic() - getattr(_here, "answered_at", -MOMENTS_S) >= MOMENTS_S:
        return
    for connection in connections.all(initialized_only=True):
        # Called after Django's own receiver, which has each connection asked again.
        held = connection.connection
        if connection.vendor == "postgresql" and held is not None and not held.closed:
            came = select.poll()
            came.register(held.fileno(), select.POLLIN)
            connection.health_check_done = not came.poll(0)  # type: ignore[attr-defined]


class AnsweringThreads:
    """Threads that answer one request after the other, with at most `most_kept` connections kept between
    them. One that is too old or was lost meanwhile is opened again (CONN_HEALTH_CHECKS): Django looks at them
    when a request begins, whose signal comes from what the threads are given to do."""

    def __init__(self, most_kept: int = MOST_KEPT, turns: Turns | None = None) -> None:
        self._turn = nullcontext if turns is None else partial(computing.in_turn, turns)
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="answer")
        self._room = threading.BoundedSemaphore(most_kept)
        self._counting = threading.Lock()
        self._unfinished = 0

    @property
    def are_all_busy(self) -> bool:
        """Whether what was given to them last has to wait for one of them."""
        return self._unfinished > MOST_THREADS

    def start(self, work: Callable[[], Done], end: Callable[[Done], None] | None = None) -> Future[Done]:
        """What `work` will give in one of the threads, once `end` was called with it there.

        Of what they change in their context nothing stays. Called in the event loop.
        """
        with self._counting:
            self._unfinished += 1
        started = self._threads.submit(copy_context().run, self._with_connections, work, end)
        started.add_done_callback(self._finish)
        return started

    def _finish(self, _finished: Future[Any]) -> None:
        with self._counting:
            self._unfinished -= 1

    def _with_connections(self, work: Callable[[], Done], end: Callable[[Done], None] | None) -> Done:
        with self._turn():
            try:
                done = work()
            finally:
                self._keep_or_close()
            if end is not None:
                # Django closes then what was opened for this request, unless it is kept.
                end(done)
        return done

    def _keep_or_close(self) -> None:
        is_open = [each for each in connections.all(initialized_only=True) if each.connection is not None]
        keeps = getattr(_here, "keeps", False)
        if not is_open and keeps:
            # It was let go of while the request was answered (webmail/idle_connections.py).
            _here.keeps = False
            self._room.release()
        elif is_open and not keeps:
            _here.keeps = keeps = self._room.acquire(blocking=False)
        now = _here.answered_at = time.monotonic()
        for connection in is_open:
            if not keeps:
                connection.close()
            elif connection.close_at is not None and connection.close_at <= now:
                # Opened for this request.
                connection.close_at = now + KEPT_SECONDS
