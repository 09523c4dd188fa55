"""How much one mailbox takes in within an hour (protocol §7)."""

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Protocol, cast

import redis
from django.conf import settings

from webmail.redis_client import redis_client

log = logging.getLogger(__name__)

HOUR = 3600

# Looks at both counters and raises both or neither.
_TAKE = """
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '0')
local bytes = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0')
if count + 1 > tonumber(ARGV[2]) or bytes + tonumber(ARGV[1]) > tonumber(ARGV[3]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'count', 1)
redis.call('HINCRBY', KEYS[1], 'bytes', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""


class QuotaExceeded(Exception):
    """The hour's share is used up; `retry_after` is the seconds until the next hour begins."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the hour's share is used up")
        self.retry_after = retry_after


class Quota(Protocol):
    def take(self, did: str, size: int, *, now: datetime) -> None:
        """Count one item of `size` octets against the DID's current hour. Raises QuotaExceeded."""
        ...


class RedisQuota:
    """Counters in Redis, one pair for each mailbox and clock hour (UTC).

    A second copy of what is already stored counts as well, since looking for it costs the same. Without
    Redis nothing is counted and everything is let in: a lost message would be worse than a long hour.
    """

    def __init__(self, client: "redis.Redis", items: int, octets: int) -> None:
        self._script = cast(Callable[..., int], client.register_script(_TAKE))
        self._items = items
        self._octets = octets

    def take(self, did: str, size: int, *, now: datetime) -> None:
        moment = int(now.timestamp())
        name = hashlib.sha256(did.encode()).hexdigest()[:32]
        key = f"ingress:{name}:{moment // HOUR}"
        try:
            taken = self._script(keys=[key], args=[size, self._items, self._octets, 2 * HOUR])
        except redis.RedisError:
            log.warning("no quota was counted: Redis can't be reached")
            return
        if not taken:
            raise QuotaExceeded(HOUR - moment % HOUR)


@cache
def redis_quota() -> RedisQuota:
    """The quota that the settings ask for."""
    client = redis_client(settings.REDIS_URL)
    return RedisQuota(client, settings.INGRESS_ENVELOPES_PER_HOUR, settings.INGRESS_BYTES_PER_HOUR)
