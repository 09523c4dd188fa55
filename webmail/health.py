"""Whether this process can do its work, for whoever watches over it: nothing of anybody's, and no session."""

from __future__ import annotations

from collections.abc import Callable

import redis
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.db import Error, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.utils.decorators import sync_and_async_middleware

from accounts.middleware import Answer
from webmail.redis_client import redis_client

PATH = "/healthz"
#: Where all parts are asked (readiness.py), and what waits is counted (metrics.py), by the operator's monitor
#: alone.
READY_PATH, METRICS_PATH = "/readyz", "/metrics"


@sync_and_async_middleware
def health(get_response: Callable[[HttpRequest], Answer]) -> Callable[[HttpRequest], Answer]:
    """Answers a GET of PATH, under whichever host name it was asked for: 200, or 503 with the names of what
    does not answer. It stands before all that needs a database, or a host name.

    READY_PATH and METRICS_PATH are answered where no reverse proxy passed the request on: they ask all other
    parts, and what they say is the operator's."""
    if iscoroutinefunction(get_response):

        async def later(request: HttpRequest) -> HttpResponseBase:
            if _is_asked(request):
                return await sync_to_async(_answer)(request)
            answer = get_response(request)
            return answer if isinstance(answer, HttpResponseBase) else await answer

        return later

    def at_once(request: HttpRequest) -> Answer:
        return _answer(request) if _is_asked(request) else get_response(request)

    return at_once


def without_answer(database: BaseDatabaseWrapper, broker_url: str) -> list[str]:
    """What of "database" and "broker" can't be reached."""
    missing = []
    try:
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        missing.append("database")
    try:
        with redis_client(broker_url) as broker:
            broker.ping()
    except redis.RedisError:
        missing.append("broker")
    return missing


def _is_asked(request: HttpRequest) -> bool:
    if request.method not in ("GET", "HEAD"):
        return False
    # Reverse proxies have to set it, whatever the client sent.
    passed_on = "HTTP_X_FORWARDED_PROTO" in request.META
    return request.path == PATH or (request.path in (READY_PATH, METRICS_PATH) and not passed_on)


def _answer(request: HttpRequest) -> HttpResponse:
    answers = {PATH: _alive, READY_PATH: _ready, METRICS_PATH: _metrics}
    answer = answers[request.path]()
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _alive() -> HttpResponse:
    missing = without_answer(connection, settings.CELERY_BROKER_URL)
    words = f"no answer: {', '.join(missing)}\n" if missing else "ok\n"
    return HttpResponse(words, status=503 if missing else 200, content_type="text/plain")


def _ready() -> HttpResponse:
    # It asks the agent and mailboxes, whose clients the rest of this has no need of.
    from webmail import readiness

    said = readiness.as_json(readiness.parts(connection))
    status = 200 if said["state"] == "ready" else 503
    return JsonResponse(said, status=status)


def _metrics() -> HttpResponse:
    from webmail import metrics

    return HttpResponse(metrics.exposition(connection, timezone.now()), content_type=metrics.CONTENT_TYPE)
