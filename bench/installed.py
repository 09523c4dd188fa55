"""Whole installations for the benchmarks, from the demo's parts, and the databases they are measured with."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo import installation as parts
from demo.ports import free_port
from tests.services.installations import RunningInstallation, free_ports
from tests.services.postgres import postgres_server
from tests.services.programs import find_postgres

#: As they are deployed.
WEB_PROCESSES = 2


@contextmanager
def installed(
    settings: Mapping[str, str] | None = None,
    agent_settings: Mapping[str, str] | None = None,
    *,
    plc_url: str = "http://localhost:1",
    pds_url: str = "http://localhost:1",
) -> Iterator[RunningInstallation]:
    """An installation with its tables, of which nothing runs yet; all that runs ends with it."""
    with tempfile.TemporaryDirectory(prefix="waxwing-bench-") as directory:
        ports = free_ports()
        installation = parts.Installation(
            Path(directory),
            ports,
            {**parts.local_network_settings(plc_url, pds_url), **(settings or {})},
            {**parts.local_agent_settings(plc_url, ports.agent), **(agent_settings or {})},
            web_processes=WEB_PROCESSES,
        )
        parts.make_directories(installation)
        running = RunningInstallation(installation, None)
        try:
            running.prepare()
            yield running
        finally:
            running.stop()


@contextmanager
def postgresql() -> Iterator[Mapping[str, str] | None]:
    """The settings of an installation with a new PostgreSQL; None where none is installed."""
    if find_postgres() is None:
        yield None
        return
    with postgres_server(free_port()) as url:
        yield {"WAXWING_DATABASE_URL": url}


def run_module(name: str, *arguments: str, environment: Mapping[str, str]) -> str:
    """Runs a module of the benchmarks in the environment of one of the processes; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        env=dict(environment),
        cwd=parts.ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout.decode()
