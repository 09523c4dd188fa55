"""What somebody who watches over an installation is told."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as current
from django.db import connection
from django.db.utils import ConnectionHandler
from django.test import AsyncClient, Client
from pytest_django import Settings

from demo.ports import free_port
from webmail import health

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("host", ["testserver", "127.0.0.1:8000", "whatever.example"])
def test_it_is_well_whatever_it_is_called(host: str, settings: Settings) -> None:
    settings.PUBLIC_HOST = "localhost"
    answer = Client().get("/healthz", headers={"Host": host})
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert not answer.cookies


def test_it_answers_at_the_host_of_frames(settings: Settings) -> None:
    settings.FRAME_URL = "http://127.0.0.1:8000"
    assert Client().get("/healthz", headers={"Host": "127.0.0.1:8000"}).status_code == 200


def test_without_a_broker_it_says_so(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (503, b"no answer: broker\n")


def test_without_anything_it_names_both() -> None:
    nobody = {"ENGINE": "django.db.backends.postgresql", "NAME": "webmail", "HOST": "127.0.0.1", "PORT": 0}
    gone = ConnectionHandler({"default": {**nobody, "PORT": free_port()}})["default"]
    broker = current.CELERY_BROKER_URL
    assert health.without_answer(gone, broker) == ["database"]
    assert health.without_answer(gone, f"redis://127.0.0.1:{free_port()}/0") == ["database", "broker"]
    assert health.without_answer(connection, broker) == []


def test_it_answers_in_the_event_loop_as_well() -> None:
    answer = async_to_sync(AsyncClient().get)("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_it_takes_nothing_in_and_stands_in_no_other_page_s_way() -> None:
    for method in ("post", "put", "delete"):
        assert getattr(Client(), method)("/healthz").status_code in (403, 404)
    assert Client().get("/healthz/").status_code == 404
