"""The cache holds JSON alone: what anybody puts into Redis runs nowhere."""

import pickle

import pytest
import redis
from django.core.cache import cache

from tests.environment import RUN

pytestmark = pytest.mark.usefixtures("redis_server")

ran: list[str] = []


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return ran.append, ("it ran",)


@pytest.mark.parametrize("value", ["did:plc:x", True, 7, {"id": "did:plc:x", "service": [{"é": None}]}])
def test_values_come_back_as_they_were(value: object) -> None:
    cache.set("kept", value, 60)
    assert cache.get("kept") == value


def test_a_counter_counts() -> None:
    cache.set("counter", 1, 60)
    assert cache.incr("counter") == 2
    assert cache.get("counter") == 2


@pytest.mark.parametrize("data", [pickle.dumps(_Runs()), b"\xff", b"", b"[" * 100_000])
def test_what_is_no_json_is_as_if_it_were_not_there(data: bytes) -> None:
    with redis.Redis.from_url(RUN.redis_url) as client:
        client.set(cache.make_key("planted"), data)
    assert cache.get("planted") is None
    assert ran == []


def test_what_json_does_not_hold_is_not_kept() -> None:
    with pytest.raises(TypeError):
        cache.set("kept", object(), 60)
