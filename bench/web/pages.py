"""The figures of pages: a whole installation is filled, and asked by eight clients."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.figures import latency_line
from bench.installed import installed, postgresql, run_module
from bench.web.account import Size
from bench.web.asked import pages
from bench.web.clients import seconds_of
from demo import installation as parts
from demo.ports import accepts_connections, free_port
from demo.processes import ProcessSpec, start


@dataclass(frozen=True)
class Amount:
    """How much is measured: in each round every client asks ``times`` for a page, and for its floor."""

    size: Size = field(default_factory=Size)
    times: int = 10
    rounds: int = 3


def figures(names: frozenset[str] = frozenset()) -> Iterator[str]:
    """The same of each database that there is; of all pages, or of those named."""
    yield from of("sqlite", {}, Amount(), names)
    with postgresql() as settings:
        if settings is not None:
            yield from of("postgresql", settings, Amount(), names)


def of(
    database: str, settings: Mapping[str, str], amount: Amount, names: frozenset[str] = frozenset()
) -> Iterator[str]:
    limits = {"WAXWING_AGENT_HOURLY_LIMITS": "web.read=900000000,web.compose=900000000,web.search=900000000"}
    with installed(settings, limits) as running, ExitStack() as stack:
        told = _filled(running.installation, amount.size)
        running.start("redis")
        running.start("agent", "web")
        bare_port = free_port()
        bare = start(_bare(running.installation, bare_port, told), running.log_of("bare"))
        stack.callback(bare.stop)
        bare.wait_until_ready()
        yield from _pages(database, running.installation.ports.web, bare_port, told, amount, names)


def _filled(installation: parts.Installation, size: Size) -> dict[str, Any]:
    """Fills both databases; what the clients have to know."""
    sealed = str(installation.directory / "sealed")
    arguments = (sealed, *size.arguments())
    agent, web = parts.agent_environment(installation), parts.web_environment(installation, "web")
    run_module("bench.web.sealed_messages", *arguments, environment=agent)
    told: dict[str, Any] = json.loads(run_module("bench.web.filled_index", *arguments, environment=web))
    Path(sealed).unlink()
    return told


def _pages(
    database: str, port: int, bare_port: int, told: Mapping[str, Any], amount: Amount, names: frozenset[str]
) -> Iterator[str]:
    for name, asked in pages(told).items():
        if names and name not in names:
            continue
        ask = partial(
            seconds_of,
            asked=asked,
            cookies=told["cookies"],
            csrf=told["csrf"],
            times=amount.times,
        )
        work: list[float] = []
        floor: list[float] = []
        for counted in range(amount.rounds + 1):
            took = ask(port, "localhost", asked.path)
            took_at_least = ask(bare_port, "localhost", f"/bare/{name}")
            if counted:
                work += took
                floor += took_at_least
        yield latency_line(
            name, work, floor, asked.wanted_ms, asked.wanted_ratio, database=database, clients=asked.clients
        )


def _bare(installation: parts.Installation, port: int, told: Mapping[str, Any]) -> ProcessSpec:
    """The server of the floor, as many processes of the same kind."""
    (serving,) = (spec for spec in parts.processes(installation) if spec.name == "web")
    command = [
        "bench.web.bare_pages:application" if word == "webmail.asgi:application" else word
        for word in serving.command
    ]
    command[command.index("--port") + 1] = str(port)
    return replace(
        serving,
        name="bare",
        command=tuple(command),
        environment={**serving.environment, "WAXWING_BENCH_PAGES": json.dumps(told)},
        is_ready=partial(accepts_connections, port),
    )
