"""Five hundred open streams of events: what they hold of the database, and how much memory.

With PostgreSQL where it is installed, else with SQLite.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psutil
import redis.asyncio

from bench import memory
from bench.figures import limit_line
from bench.installed import installed, postgresql, run_module
from tests.services.installations import RunningInstallation

STREAMS = 500
#: Of each account, which may have 30 (WAXWING_STREAMS_OF_ONE).
OF_ONE = 25
MOST_CONNECTIONS = 20
MOST_MEGABYTES = 150
#: Streams, or pages, that are asked for at once.
AT_ONCE = 16
#: For what is still being done when the last stream is open: so often looked at, so far apart.
LOOKS = 10
LOOK_EVERY_S = 2
#: How long a stream may take to open, and an event to come.
PATIENCE_S = 120


@dataclass(frozen=True)
class _Held:
    """What there was while all streams were open, and how much more memory than before."""

    connections: int
    megabytes: float


@dataclass(frozen=True)
class _Browser:
    account_pk: int
    cookies: Mapping[str, str]


def figures(streams: int = STREAMS) -> Iterator[str]:
    """Every stream is heard from before and after the measurement, so all of them were open."""
    with postgresql() as settings, installed(settings) as running:
        running.start("redis")
        running.start("web")
        accounts = -(-streams // OF_ONE)
        told = json.loads(run_module("bench.web.browsers", str(accounts), environment=running.environment))
        browsers = [_Browser(*each) for each in told]
        held = asyncio.run(_held(running, browsers, streams))
    yield limit_line(f"sse/{streams}/connections", "connections", held.connections, MOST_CONNECTIONS)
    yield limit_line(f"sse/{streams}/memory", "megabytes", held.megabytes, MOST_MEGABYTES)


async def _held(running: RunningInstallation, browsers: Sequence[_Browser], streams: int) -> _Held:
    port = running.installation.ports.web
    asked = [browsers[number % len(browsers)] for number in range(streams)]
    few = asyncio.Semaphore(AT_ONCE)
    async with AsyncExitStack() as stack:
        # What a process loads for its first pages is not the streams'.
        await asyncio.gather(*(_ask(port, "/", browser, b"</html>", few) for browser in asked[:AT_ONCE]))
        before = _megabytes(running)
        opened = await asyncio.gather(
            *(_ask(port, "/events/", browser, b"event: ready\n", few, stack) for browser in asked)
        )
        connections = await _connections_held(running)
        held = _Held(connections, _megabytes(running) - before)
        await _publish(running, browsers)
        heard = (reader.readuntil(b"event: conversations\n") for reader in opened)
        await asyncio.wait_for(asyncio.gather(*heard), PATIENCE_S)
    return held


async def _connections_held(running: RunningInstallation) -> int:
    """What is held once no requests give any back any more: the fewest of several looks."""
    counts = []
    for _ in range(LOOKS):
        await asyncio.sleep(LOOK_EVERY_S)
        counts.append(_connections(running))
        if counts[-1] == 0:
            break
    return min(counts)


async def _ask(
    port: int,
    path: str,
    browser: _Browser,
    awaited: bytes,
    few: asyncio.Semaphore,
    kept: AsyncExitStack | None = None,
) -> asyncio.StreamReader:
    """The answer, read until ``awaited``; its connection is closed with ``kept``, or at once without it."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    async with few:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookies}\r\n\r\n".encode())
        try:
            await asyncio.wait_for(reader.readuntil(awaited), PATIENCE_S)
        except asyncio.IncompleteReadError as error:
            raise AssertionError(f"{path}: {error.partial[:200]!r}") from None
        if kept is None:
            writer.close()
        else:
            kept.callback(writer.close)
    return reader


async def _publish(running: RunningInstallation, browsers: Sequence[_Browser]) -> None:
    """An event for every account, as webmail.events publishes it."""
    async with redis.asyncio.Redis.from_url(running.installation.redis_url) as client:
        for browser in browsers:
            event = json.dumps({"names": ["conversations"], "message": None})
            await client.publish(f"events:{browser.account_pk}", event)


def _megabytes(running: RunningInstallation) -> float:
    """Of the web processes and of Redis, at which every stream listens."""
    return sum(memory.megabytes(running.processes[name].pid) for name in ("web", "redis"))


def _connections(running: RunningInstallation) -> int:
    """To the database, of all processes."""
    url = running.environment["WAXWING_DATABASE_URL"]
    if not url.startswith("sqlite:///"):
        ((count,),) = running.sql(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(count)
    web = psutil.Process(running.processes["web"].pid)
    opened = [file for each in (web, *web.children(recursive=True)) for file in each.open_files()]
    return sum(file.path == url.removeprefix("sqlite:///") for file in opened)
