"""How many streams of events are open, of one account and in all: places in Redis that streams renew.

A place ends by itself when its stream's process dies. Without Redis all are let in: nothing streams then.
"""

import logging
import secrets
import time
from dataclasses import dataclass
from functools import cache

import redis
import redis.asyncio
from django.conf import settings

from webmail.redis_client import redis_client

log = logging.getLogger(__name__)

#: A place that was not renewed for so long is free again; streams renew theirs three times in it.
PLACE_SECONDS = 60
#: How soon a browser may ask again for which there was no place.
RETRY_AFTER_SECONDS = 30

_TAKE = """
for i = 1, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', ARGV[1])
  if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[3 + i]) then return 0 end
end
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], ARGV[2], ARGV[3])
  redis.call('EXPIRE', KEYS[i], ARGV[6])
end
return 1
"""


@dataclass(frozen=True)
class Place:
    """One stream's place."""

    account_id: int
    name: str

    @property
    def keys(self) -> tuple[str, str]:
        return f"streams:{self.account_id}", "streams"

    async def renew(self, client: "redis.asyncio.Redis", now_s: float) -> None:
        """Keeps it for another PLACE_SECONDS."""
        for key in self.keys:
            await client.zadd(key, {self.name: now_s + PLACE_SECONDS})
            await client.expire(key, 2 * PLACE_SECONDS)

    async def leave(self, client: "redis.asyncio.Redis") -> None:
        for key in self.keys:
            await client.zrem(key, self.name)


def take(account_id: int) -> Place | None:
    """A place for one more stream of the account; None if it, or everybody together, has too many."""
    place = Place(account_id, secrets.token_hex(8))
    now = time.time()
    limits = (settings.STREAMS_OF_ONE, settings.STREAMS_OF_ALL)
    arguments = (now, now + PLACE_SECONDS, place.name, *limits, 2 * PLACE_SECONDS)
    try:
        taken = _client().eval(_TAKE, 2, *place.keys, *map(str, arguments))
    except redis.RedisError as error:
        log.warning("no open streams were counted: %s", type(error).__name__)
        return place
    return place if taken else None


@cache
def _client() -> redis.Redis:
    return redis_client(settings.REDIS_URL)
