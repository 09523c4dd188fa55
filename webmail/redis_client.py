"""Connections to Redis that give up at once: what they carry is never worth making a person wait."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def redis_client(url: str) -> redis.Redis:
    """A client that tries once and for a second at most; by default it would try for several."""
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
