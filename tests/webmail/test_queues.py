"""Every task has its queue, and whoever gives one needs to know its name alone."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import Account
from tests.webmail.conftest import Write
from webmail import queues, tasks, trust
from webmail.celery import app
from webmail.models import Arrival, Message
from webmail.redis_client import redis_client

NAMES = {name: value for name, value in vars(queues).items() if ".tasks." in str(value)}


def test_every_task_has_a_queue() -> None:
    app.loader.import_default_modules()
    tasks = {name for name in app.tasks if not name.startswith("celery.")}
    assert tasks == set(settings.CELERY_TASK_ROUTES)
    taken = {queues.INTERACTIVE, queues.DELIVERY, queues.LOOKUPS, queues.SCHEDULE}
    assert {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()} == taken


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_names_are_those_of_tasks(name: str) -> None:
    app.loader.import_default_modules()
    assert name in app.tasks


def test_a_broker_that_is_away_is_left_to_the_next_round(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object, **_options: object) -> None:
        raise OperationalError

    monkeypatch.setattr(app, "send_task", away)
    queues.give(queues.PULL, 1)


@pytest.mark.django_db
def test_what_the_clock_gives_again_does_not_wait_for_ever(alice: Account) -> None:
    """Rounds that come while no worker is there heap up nothing that would have to be done later."""
    now = timezone.now()
    Arrival.objects.create(account=alice, uid_validity=1, uid=1, size=1, arrived_at=now)
    Arrival.objects.update(updated_at=now - timedelta(days=1))
    _taken_from(queues.SCHEDULE)
    tasks.pull_all()
    of_mailboxes = _taken_from(queues.SCHEDULE)
    assert len(of_mailboxes) == Account.objects.filter(enrolled_at__isnull=False).count()
    tasks.reconcile()
    unfinished = _taken_from(queues.SCHEDULE)
    assert len(unfinished) == 1
    for given in of_mailboxes + unfinished:
        assert given["task"] == queues.PULL
        assert now < datetime.fromisoformat(given["expires"]) <= timezone.now() + timedelta(seconds=60)
    # What is given once alone waits for its worker.
    _taken_from(queues.INTERACTIVE)
    queues.give(queues.PULL, alice.pk)
    (once,) = _taken_from(queues.INTERACTIVE)
    assert once["expires"] is None


@pytest.mark.django_db
def test_a_check_that_no_round_gives_again_soon_waits_for_as_long(
    alice: Account, bob: Account, write: Write
) -> None:
    message = write(alice, [bob], "To be checked")
    now = timezone.now()
    Message.objects.filter(pk=message.pk).update(trust=Message.Trust.UNCHECKED, next_check_at=now)
    _taken_from(queues.LOOKUPS)
    tasks.reconcile()
    (given,) = [one for one in _taken_from(queues.LOOKUPS) if one["task"] == queues.RECHECK]
    assert datetime.fromisoformat(given["expires"]) >= now + trust.IN_HAND


def _taken_from(queue: str) -> list[dict[str, Any]]:
    """The heads of all tasks that wait on a queue of the broker, from where they are gone then."""
    with redis_client(settings.REDIS_URL) as redis, redis.pipeline() as both:
        waiting, _deleted = both.lrange(queue, 0, -1).delete(queue).execute()
    return [json.loads(message)["headers"] for message in waiting]
