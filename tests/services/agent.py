"""The crypto agent as its own process, with its own database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.installation import agent_process as agent_spec
from demo.processes import ProcessSpec, RunningProcess, inherited_environment, start
from tests.services.preparations import make_agent_tables


@dataclass
class AgentProcess:
    """A running agent that a test may kill and start again."""

    url: str
    token_secret: str
    spec: ProcessSpec
    log: Path
    running: RunningProcess

    def start(self) -> None:
        self.running = start(self.spec, self.log)
        self.running.wait_until_ready()

    def stop(self) -> None:
        self.running.stop()

    def kill(self) -> None:
        self.running.kill()


@contextmanager
def agent_process(directory: Path, port: int) -> Iterator[AgentProcess]:
    """Runs the agent of this test run on the loopback address, with its data in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    environment = {
        **inherited_environment(),
        **{name: value for name, value in os.environ.items() if name.startswith("WAXWING_AGENT_")},
        "WAXWING_AGENT_DATA_DIR": str(directory),
        "WAXWING_AGENT_DATABASE_URL": f"sqlite:///{directory / 'agent.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "crypto_agent.settings",
    }
    make_agent_tables(environment)
    spec = agent_spec(environment, port)
    log = directory / "agent.log"
    agent = AgentProcess(
        f"http://127.0.0.1:{port}", environment["WAXWING_AGENT_TOKEN_SECRET"], spec, log, start(spec, log)
    )
    try:
        agent.running.wait_until_ready()
        yield agent
    finally:
        agent.stop()
