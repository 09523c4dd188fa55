"""One pull of a mailbox at a time, so that work is not done twice (it would be harmless, only slow)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import redis
from django.conf import settings

from webmail.redis_client import redis_client

#: Deletes or extends the lock only if it is still ours.
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_EXTEND = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('expire', KEYS[1], ARGV[2]) end return 0"
)


@cache
def _redis() -> redis.Redis:
    return redis_client(settings.REDIS_URL)


@contextmanager
def holding(account_pk: int) -> Iterator[Iterator[int]]:
    """Rounds of pulling: none if another worker is at it, which is then asked for one more round;
    else one, and one more for each request that came meanwhile. Without Redis there is one round."""
    name, again = f"pull:{account_pk}", f"pull-again:{account_pk}"
    owner = secrets.token_hex(8)
    try:
        client = _redis()
        client.set(again, 1, ex=settings.PULL_LOCK_SECONDS * 6)
        if not client.set(name, owner, nx=True, ex=settings.PULL_LOCK_SECONDS):
            yield iter(())
            return
    except redis.RedisError:
        yield iter((1,))
        return
    try:
        yield _rounds(client, name, again, owner)
    finally:
        client.eval(_RELEASE, 1, name, owner)


def asked_again(account_pk: int) -> bool:
    """Whether somebody asked for a round after the last one began, and nobody is at it."""
    try:
        wanted = _redis().exists(f"pull-again:{account_pk}")
        return bool(wanted) and not _redis().exists(f"pull:{account_pk}")
    except redis.RedisError:
        return False


def _rounds(client: redis.Redis, name: str, again: str, owner: str) -> Iterator[int]:
    number = 0
    while client.delete(again):
        number += 1
        client.eval(_EXTEND, 1, name, owner, settings.PULL_LOCK_SECONDS)
        yield number
