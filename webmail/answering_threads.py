"""The threads in which requests are answered, and which of them keep their connection to the database.

Django opens a connection for each request: PostgreSQL starts a process for it, SQLite reads its schema again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

#: Of one process. Threads that wait for other servers are many at times; they are made as they are needed.
MOST_THREADS = 512
MOST_KEPT = 8
#: A connection that is older is opened anew.
KEPT_SECONDS = 60

Answer = Callable[[HttpRequest], HttpResponseBase]


class AnsweringThreads:
    """Threads that answer one request after the other, with at most `most_kept` connections kept between
    them. One that was lost meanwhile is opened again (CONN_HEALTH_CHECKS)."""

    def __init__(self, most_kept: int = MOST_KEPT) -> None:
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="answer")
        self._room = threading.BoundedSemaphore(most_kept)
        self._here = threading.local()

    async def answer(self, answer: Answer, request: HttpRequest) -> HttpResponseBase:
        """What `answer` makes of a request, in one of the threads."""
        in_thread = sync_to_async(self._answer, thread_sensitive=False, executor=self._threads)
        return await in_thread(answer, request)

    def _answer(self, answer: Answer, request: HttpRequest) -> HttpResponseBase:
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()
        try:
            return answer(request)
        finally:
            self._keep_or_close()

    def _keep_or_close(self) -> None:
        is_open = [each for each in connections.all(initialized_only=True) if each.connection is not None]
        keeps = getattr(self._here, "keeps", False)
        if not is_open and keeps:
            # It was let go of while the request was answered (webmail/idle_connections.py).
            self._here.keeps = False
            self._room.release()
        elif is_open and not keeps:
            self._here.keeps = keeps = self._room.acquire(blocking=False)
        now = time.monotonic()
        for connection in is_open:
            if not keeps:
                connection.close()
            elif connection.close_at is not None and connection.close_at <= now:
                # Opened for this request.
                connection.close_at = now + KEPT_SECONDS
