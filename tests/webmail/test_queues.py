"""Every task has its queue, and whoever gives one needs to know its name alone."""

import pytest
from django.conf import settings
from kombu.exceptions import OperationalError

from webmail import queues
from webmail.celery import app

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
