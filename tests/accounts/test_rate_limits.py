"""Limits on what strangers and people here may have other servers asked, counted in the real Redis."""

import time

import pytest
import redis
from django.core.cache import cache
from django.test import Client, RequestFactory
from pytest_django import Settings

from accounts import lookups, oauth, people, rate_limits
from accounts.rate_limits import Limit, TooOften
from tests.services.slow_server import slow_server

pytestmark = pytest.mark.django_db

NOBODY = {"handle": "nobody.invalid"}


@pytest.fixture
def few(settings: Settings) -> None:
    cache.clear()
    settings.SIGN_INS_OF_ONE, settings.SIGN_INS_OF_ALL = 3, 5


def test_an_address_may_begin_so_many_sign_ins_and_is_told_when_to_come_back(
    client: Client, few: None
) -> None:
    for _ in range(3):
        wrong = client.post("/sign-in/", NOBODY)
        assert wrong.status_code == 400
        assert 'aria-invalid="true"' in wrong.content.decode()
    refused = client.post("/sign-in/", {**NOBODY, "next": "/saved/"})
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= rate_limits.WINDOW_SECONDS
    # The page is there again with what was typed.
    page = refused.content.decode()
    assert "takes a break. Try again in" in page
    # It says nothing of the handle.
    assert "aria-invalid" not in page
    assert 'value="nobody.invalid"' in page
    assert '<input type="hidden" name="next" value="/saved/">' in page
    # Others are not held up, and the page itself is always there.
    assert client.post("/sign-in/", NOBODY, REMOTE_ADDR="192.0.2.7").status_code == 400
    assert client.get("/sign-in/").status_code == 200


def test_nobody_is_asked_anything_beyond_the_limit(
    client: Client, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    begin = oauth.begin
    monkeypatch.setattr(oauth, "begin", lambda *a, **k: (asked.append(a), begin(*a, **k))[1])
    for _ in range(6):
        client.post("/sign-in/", NOBODY)
    assert len(asked) == 3


def test_there_is_a_limit_for_all_that_those_who_are_kept_out_do_not_use_up(
    client: Client, few: None
) -> None:
    for _ in range(10):
        client.post("/sign-in/", NOBODY)
    for number in range(2):
        assert client.post("/sign-in/", NOBODY, REMOTE_ADDR=f"192.0.2.{number}").status_code == 400
    assert client.post("/sign-in/", NOBODY, REMOTE_ADDR="192.0.2.9").status_code == 429


def test_who_has_many_networks_does_not_use_up_what_is_for_all(client: Client, settings: Settings) -> None:
    cache.clear()
    settings.SIGN_INS_OF_ONE, settings.SIGN_INS_OF_ALL = 1, 6
    answers = [
        client.post("/sign-in/", NOBODY, REMOTE_ADDR=f"2001:db8:1:{number:x}::1").status_code
        for number in range(10)
    ]
    assert answers == [400] * 4 + [429] * 6
    assert client.post("/sign-in/", NOBODY, REMOTE_ADDR="2001:db8:2::1").status_code == 400
    assert client.post("/sign-in/", NOBODY, REMOTE_ADDR="192.0.2.7").status_code == 400


def test_what_a_client_says_of_its_address_is_not_believed(client: Client, few: None) -> None:
    for number in range(3):
        client.post("/sign-in/", NOBODY, headers={"X-Forwarded-For": f"192.0.2.{number}"})
    refused = client.post("/sign-in/", NOBODY, headers={"X-Forwarded-For": "192.0.2.77"})
    assert refused.status_code == 429


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "unknown"),
    ],
)
def test_a_household_counts_as_one(address: str, counted: str) -> None:
    assert rate_limits.client_network(RequestFactory().get("/", REMOTE_ADDR=address)) == counted


def test_a_window_ends() -> None:
    cache.clear()
    limit = Limit("test", "somebody", 1)
    start = 1_800_000_000 // rate_limits.WINDOW_SECONDS * rate_limits.WINDOW_SECONDS
    rate_limits.take(limit, now_s=start)
    with pytest.raises(TooOften) as caught:
        rate_limits.take(limit, now_s=start + 590)
    assert (caught.value.retry_after, caught.value.minutes) == (10, 1)
    rate_limits.take(limit, now_s=start + 600)


def test_without_redis_nobody_is_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object, **_options: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(cache, "add", away)
    for _ in range(3):
        rate_limits.take(Limit("test", "x", 1))


def test_addresses_are_not_kept_in_the_clear(redis_server: str) -> None:
    rate_limits.take(Limit("clear", "192.0.2.44", 1))
    with redis.Redis.from_url(redis_server) as client:
        assert not list(client.scan_iter("*192.0.2.44*"))


@pytest.mark.django_db(transaction=True)
def test_many_people_are_asked_for_side_by_side_within_one_time() -> None:
    with slow_server(30, hosts=20) as server:
        dids = [server.did(number) for number in range(20)]
        started = time.monotonic()
        found = people.look_up_all(dids, seconds=1.0)
        assert [(person.did, person.never_known) for person in found] == [(did, True) for did in dids]
        assert time.monotonic() - started < 6
        assert len(server.asked) >= people.AT_ONCE
    assert lookups.seconds_left(5.0) == 5.0
