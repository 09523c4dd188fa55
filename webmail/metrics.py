"""What waits and what answers, in the text format of Prometheus: for the operator's monitor.

Everything is counted when it is asked for, from the database and the broker, so that it is the same whichever
process answers. Nothing names anybody, and no count is of one account.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime

import redis
from django.conf import settings
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, Min
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from accounts.models import Account
from webmail import queues, readiness
from webmail.models import Arrival, Delivery, Message, PendingMessage
from webmail.redis_client import redis_client

CONTENT_TYPE = CONTENT_TYPE_LATEST
#: How many of the newest deliveries are counted by how they ended: the whole table would take seconds.
NEWEST = 1000

_QUEUES = (queues.INTERACTIVE, queues.DELIVERY, queues.LOOKUPS, queues.SCHEDULE)


def exposition(database: BaseDatabaseWrapper, now: datetime) -> bytes:
    """All figures as text; those of a part that does not answer are left out, and `waxwing_ready` says so."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(database, now))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, database: BaseDatabaseWrapper, now: datetime) -> None:
        self._database = database
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        parts = readiness.parts(self._database)
        ready = {part.name: float(part.state == "ready") for part in parts}
        yield _by("waxwing_ready", "Whether a part answers, and has nothing to tell.", "part", ready)
        with suppress(Error):
            yield from list(self._counts())
        with suppress(redis.RedisError):
            yield _by("waxwing_queue_length", "Tasks that wait for a worker.", "queue", _lengths())

    def _counts(self) -> Iterator[GaugeMetricFamily]:
        yield _one("waxwing_accounts", "Accounts that signed in here.", Account.objects.count())
        due = Delivery.objects.filter(state__in=[Delivery.State.QUEUED, Delivery.State.SEALED])
        waiting = due.aggregate(number=Count("pk"), since=Min("created_at"))
        yield _one("waxwing_deliveries_waiting", "Deliveries on their way to a server.", waiting["number"])
        yield _one(
            "waxwing_deliveries_oldest_seconds", "Age of the oldest of them.", self._age(waiting["since"])
        )
        newest = Delivery.objects.order_by("-pk").values_list("state", flat=True)[:NEWEST]
        states = dict.fromkeys(Delivery.State.values, 0)
        for state in newest:
            states[state] += 1
        yield _by("waxwing_newest_deliveries", f"The newest {NEWEST} deliveries.", "state", states)
        unfinished = Arrival.objects.filter(state__in=[Arrival.State.WAITING, Arrival.State.OPENED])
        arrivals = unfinished.aggregate(number=Count("pk"), since=Min("arrived_at"))
        yield _one("waxwing_arrivals_waiting", "Mails not opened or archived yet.", arrivals["number"])
        yield _one(
            "waxwing_arrivals_oldest_seconds", "Age of the oldest of them.", self._age(arrivals["since"])
        )
        to_archive = Message.objects.filter(archived_at=None).count()
        yield _one("waxwing_messages_to_archive", "Messages that no mailbox has yet.", to_archive)
        late = PendingMessage.objects.filter(goes_with=None, release_at__lt=self._now).count()
        yield _one("waxwing_messages_late", "Messages whose time to be sent is over.", late)

    def _age(self, since: datetime | None) -> float:
        return 0.0 if since is None else max(0.0, (self._now - since).total_seconds())


def _lengths() -> Mapping[str, float]:
    with redis_client(settings.CELERY_BROKER_URL) as broker:
        # Celery keeps a queue as a list of its name.
        return {queue: float(broker.llen(queue)) for queue in _QUEUES}


def _one(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)


def _by(name: str, words: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family
