"""An agent for the benchmarks alone: its files in a folder of their own, in this process and as a server."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import httpx
from django.core.management import call_command

from crypto_agent.client import AgentClient
from demo.ports import free_port
from demo.processes import ProcessSpec, RunningProcess, inherited_environment, start

ROOT = Path(__file__).resolve().parent.parent


def set_up(directory: Path) -> None:
    """Makes this process an agent with a new database and operator's key in ``directory``."""
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "crypto_agent.settings",
            "WAXWING_AGENT_SECRET_KEY": secrets.token_urlsafe(48),
            "WAXWING_AGENT_TOKEN_SECRET": secrets.token_urlsafe(32),
            "WAXWING_AGENT_DATA_DIR": str(directory),
            "WAXWING_AGENT_OPERATOR_KEY_PATH": str(directory / "operator.key"),
            "WAXWING_AGENT_DATABASE_URL": f"sqlite:///{directory / 'agent.sqlite3'}",
            "WAXWING_LOG_LEVEL": "WARNING",
        }
    )
    django.setup()
    call_command("migrate", verbosity=0)
    with open(os.devnull, "w") as nowhere:
        call_command("make_operator_key", stdout=nowhere)


@contextmanager
def served(directory: Path) -> Iterator[tuple[str, RunningProcess]]:
    """The address and the process of a server that shares the files of ``set_up``."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    spec = ProcessSpec(
        name="agent",
        command=(
            *(sys.executable, "-m", "gunicorn", "--config", "crypto_agent/gunicorn.conf.py"),
            *("crypto_agent.wsgi", "--bind", f"127.0.0.1:{port}"),
        ),
        environment={
            **inherited_environment(),
            **{name: value for name, value in os.environ.items() if name.startswith(("WAXWING_", "DJANGO_"))},
        },
        directory=ROOT,
        is_ready=lambda: _answers(url),
    )
    running = start(spec, directory / "agent.log")
    try:
        running.wait_until_ready()
        yield url, running
    finally:
        running.stop()


def client(url: str, caller: str) -> AgentClient:
    """A client of the server, as ``web`` or ``worker``."""
    return AgentClient(url, os.environ["WAXWING_AGENT_TOKEN_SECRET"], caller)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
