"""What the operator's monitor counts: real rows, a real broker, and the library's own parser of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from accounts.models import Account
from demo.ports import free_port
from tests.services.agent import AgentProcess
from tests.webmail.conftest import Write
from webmail import metrics, queues
from webmail.models import Arrival, Delivery
from webmail.redis_client import redis_client

pytestmark = pytest.mark.django_db


def figures() -> dict[str, float]:
    """Each by its name, with the one label that it may have."""
    answer = Client().get("/metrics", headers={"Host": "127.0.0.1:8000"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return {
        ".".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_what_waits_is_counted(alice: Account, bob: Account, write: Write) -> None:
    before = figures()
    message = write(alice, [bob], "Hello")
    minutes_ago = timezone.now() - timedelta(minutes=5)
    Delivery.objects.filter(message=message).update(created_at=minutes_ago, state=Delivery.State.SEALED)
    Arrival.objects.create(
        account=alice,
        envelope_id="00" * 32,
        uid_validity=1,
        uid=1,
        size=1,
        arrived_at=timezone.now() - timedelta(hours=1),
    )
    found = figures()
    deliveries = Delivery.objects.filter(message=message).count()
    assert deliveries > 0
    assert found["waxwing_deliveries_waiting"] == before["waxwing_deliveries_waiting"] + deliveries
    assert 300 <= found["waxwing_deliveries_oldest_seconds"] < 400
    assert (
        found["waxwing_newest_deliveries.sealed"] == before["waxwing_newest_deliveries.sealed"] + deliveries
    )
    assert found["waxwing_arrivals_waiting"] == before["waxwing_arrivals_waiting"] + 1
    assert 3600 <= found["waxwing_arrivals_oldest_seconds"] < 3700
    assert found["waxwing_messages_to_archive"] == before["waxwing_messages_to_archive"] + 1
    assert found["waxwing_accounts"] == Account.objects.count()
    assert {name: value for name, value in found.items() if name.startswith("waxwing_ready")} == {
        f"waxwing_ready.{part}": 1.0 for part in ("database", "broker", "mailbox", "agent", "alarms")
    }


def test_queues_have_their_lengths(agent_process: AgentProcess, settings: Settings) -> None:
    with redis_client(settings.CELERY_BROKER_URL) as broker:
        length = broker.llen(queues.LOOKUPS)
        broker.rpush(queues.LOOKUPS, "not a task")
        try:
            assert figures()["waxwing_queue_length.lookups"] == length + 1
        finally:
            broker.rpop(queues.LOOKUPS)


def test_what_does_not_answer_is_left_out(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    settings.AGENT_URL = f"http://127.0.0.1:{free_port()}"
    found = figures()
    assert (found["waxwing_ready.broker"], found["waxwing_ready.agent"]) == (0.0, 0.0)
    assert found["waxwing_ready.database"] == 1.0
    assert not any(name.startswith("waxwing_queue_length") for name in found)
    assert "waxwing_deliveries_waiting" in found


def test_it_is_the_operators_alone(alice: Account) -> None:
    assert Client().get("/metrics", headers={"X-Forwarded-Proto": "https"}).status_code == 404
    text = metrics.exposition(connection, timezone.now()).decode()
    assert alice.did not in text
    assert alice.handle not in text
