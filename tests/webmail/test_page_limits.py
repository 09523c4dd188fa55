"""Limits on what somebody who is signed in may have this installation hold and ask."""

import asyncio
from collections.abc import AsyncIterator
from unittest.mock import patch

import pytest
from django.core.cache import cache
from pytest_django import Settings

from tests.services.agent import AgentProcess
from tests.webmail.installation import browser_of, new_account, peer
from webmail import events, open_streams

pytestmark = pytest.mark.django_db


def test_so_many_people_are_looked_up_for_one_account_and_then_a_page_says_when_to_return(
    agent_process: AgentProcess, settings: Settings
) -> None:
    cache.clear()
    settings.SEARCHES_OF_ONE = 2
    browser, other = browser_of(new_account("alice")), browser_of(new_account("bob"))
    for _ in range(2):
        assert browser.get("/new/?to=nobody.invalid").status_code == 200
    with patch("accounts.people.look_up") as asked:
        refused = browser.get("/new/?to=nobody.invalid")
        part = browser.post(
            "/new/find/", {"q": "nobody.invalid"}, headers={"HX-Request": "true", "HX-Target": "results"}
        )
        named = browser.post("/new/people/", {"to": [peer(f"p{n}").did for n in range(5)]})
    assert not asked.called
    assert (refused.status_code, part.status_code, named.status_code) == (429, 422, 422)
    assert 0 < int(refused["Retry-After"]) <= 600
    assert "Try again in" in part.content.decode()
    assert "<html" not in part.content.decode()
    assert other.get("/new/?to=nobody.invalid").status_code == 200


def taken(account: int) -> open_streams.Place | None:
    return open_streams.take(account)


def test_one_account_and_all_together_have_so_many_streams(redis_server: str, settings: Settings) -> None:
    settings.STREAMS_OF_ONE, settings.STREAMS_OF_ALL = 2, 3
    with patch.object(open_streams.Place, "keys", property(lambda self: (f"t:{self.account_id}", "t"))):
        assert taken(1)
        assert taken(1)
        assert taken(1) is None
        assert taken(2)
        assert taken(3) is None
        with patch.object(open_streams.time, "time", return_value=open_streams.time.time() + 61):
            assert taken(3), "places that nobody renewed are free"


def test_a_stream_gives_its_place_back(redis_server: str, settings: Settings) -> None:
    settings.STREAMS_OF_ONE = 1

    async def opened() -> AsyncIterator[bytes]:
        place = open_streams.take(77)
        assert place
        return events.stream(77, None, place)

    async def course() -> None:
        stream = await opened()
        assert b"event: ready" in await anext(stream)
        assert open_streams.take(77) is None
        await stream.aclose()
        assert open_streams.take(77)

    asyncio.run(course())


def test_a_page_too_many_is_told_so(agent_process: AgentProcess, settings: Settings) -> None:
    settings.STREAMS_OF_ONE = 0
    refused = browser_of(new_account("alice")).get("/events/")
    assert refused.status_code == 429
    assert refused["Retry-After"] == str(open_streams.RETRY_AFTER_SECONDS)
