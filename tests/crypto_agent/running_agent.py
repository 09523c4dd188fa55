"""A crypto agent as operators run it, gunicorn and all, with a database and an operator's key of its own."""

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from crypto_agent.client import NAMESPACE, AgentClient, AgentError
from crypto_agent.custody import KEY_BYTES
from crypto_agent.lexicons import Lexicons
from crypto_agent.operator_keys.key_file import write_key_file
from demo.ports import free_port
from demo.processes import ProcessSpec, RunningProcess, inherited_environment, start
from tests.environment import RUN
from tests.services.preparations import make_agent_tables

ROOT = Path(__file__).resolve().parent.parent.parent
LEXICONS = Lexicons.load(ROOT / "lexicons")
#: Where the web pages are said to be.
WEB_ORIGIN = "https://mail.test"
#: Errors that any method may answer, or the client itself; all others stand in the method's lexicon.
GENERAL_ERRORS = {"InvalidRequest", "PayloadTooLarge", "Unreachable"}

#: Has the database refuse every new entry in the audit log, until the trigger is dropped.
READ_ONLY = (
    "CREATE TRIGGER read_only BEFORE INSERT ON crypto_agent_auditentry "
    "BEGIN SELECT RAISE(ABORT, 'the log is read-only'); END"
)


class CheckedClient(AgentClient):
    """Holds every answer, and every error's name, to the method's lexicon, and keeps the answers."""

    def __init__(self, url: str, token_secret: str, caller: str) -> None:
        super().__init__(url, token_secret, caller)
        self.answers: list[dict[str, Any]] = []

    def _call(self, verb: str, method: str, **request: Any) -> dict[str, Any]:
        return self._checked(method, super()._call, verb, method, **request)

    def _carry(self, method: str, *arguments: Any) -> dict[str, Any]:
        return self._checked(method, super()._carry, method, *arguments)

    def _checked(
        self, method: str, call: Callable[..., dict[str, Any]], *arguments: Any, **request: Any
    ) -> dict[str, Any]:
        described = LEXICONS.methods[f"{NAMESPACE}.{method}"]
        try:
            answer = call(*arguments, **request)
        except AgentError as error:
            if error.code not in described.errors | GENERAL_ERRORS:
                raise AssertionError(f"{method} does not declare {error.code}") from error
            raise
        LEXICONS.output(described, answer)
        self.answers.append(answer)
        return answer


@dataclass
class Agent:
    """A running agent, its files, and clients for both of its callers."""

    url: str
    directory: Path
    environment: dict[str, str]
    running: RunningProcess

    @property
    def token_secret(self) -> str:
        return self.environment["WAXWING_AGENT_TOKEN_SECRET"]

    @property
    def did(self) -> str:
        """The did:web under which apps call it."""
        return "did:web:" + self.url.removeprefix("http://").replace("127.0.0.1:", "localhost%3A")

    @property
    def operator_key(self) -> Path:
        return self.directory / "operator.key"

    @property
    def database(self) -> Path:
        return self.directory / "agent.sqlite3"

    @property
    def log(self) -> bytes:
        return self.running.log.read_bytes()

    def client(self, caller: str = "web") -> CheckedClient:
        return CheckedClient(self.url, self.token_secret, caller)

    def execute(self, *statements: str) -> list[Any]:
        """Runs SQL in the agent's database, past the agent; the rows of the last statement."""
        if "postgres" in self.environment["WAXWING_AGENT_DATABASE_URL"]:
            with psycopg.connect(self.environment["WAXWING_AGENT_DATABASE_URL"]) as postgres:
                for statement in statements:
                    cursor = postgres.execute(statement)
                return cursor.fetchall() if cursor.description else []
        with closing(sqlite3.connect(self.database, timeout=10)) as sqlite:
            for statement in statements:
                rows = sqlite.execute(statement).fetchall()
            sqlite.commit()
        return rows

    def command(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs one of the agent's commands, with further environment variables."""
        return _command({**self.environment, **variables}, *arguments, stdin=stdin)

    def kill(self) -> None:
        """Ends every process of the agent at once."""
        os.killpg(self.running.pid, signal.SIGKILL)
        self.running.popen.wait()
        while _answers(self.url):
            time.sleep(0.05)

    def start(self) -> None:
        self.running = start(self.running.spec, self.running.log)
        self.running.wait_until_ready()


@contextmanager
def running_agent(
    directory: Path, database_url: str = "", *, unsealed: bool = True, **variables: str
) -> Iterator[Agent]:
    """Runs an agent with its files in ``directory``; without ``unsealed`` its operator's key is absent.

    ``variables`` are added to its environment, or go before what is there.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **inherited_environment(),
        "DJANGO_SETTINGS_MODULE": "crypto_agent.settings",
        "WAXWING_AGENT_SECRET_KEY": secrets.token_urlsafe(48),
        "WAXWING_AGENT_TOKEN_SECRET": secrets.token_urlsafe(32),
        "WAXWING_AGENT_DATA_DIR": str(directory),
        "WAXWING_AGENT_OPERATOR_KEY_PATH": str(directory / "operator.key"),
        "WAXWING_AGENT_DATABASE_URL": database_url or f"sqlite:///{directory / 'agent.sqlite3'}",
        "WAXWING_AGENT_PUBLIC_URL": f"http://localhost:{port}",
        "WAXWING_AGENT_PLC_URL": f"http://localhost:{RUN.plc}",
        "WAXWING_AGENT_NETWORK": "loopback",
        "WAXWING_AGENT_WEB_ORIGIN": WEB_ORIGIN,
        "WAXWING_LOG_LEVEL": "DEBUG",
        **variables,
    }
    make_agent_tables(environment)
    if unsealed and "WAXWING_AGENT_OPERATOR_KEY" in variables:
        _command(environment, "make_operator_key").check_returncode()
    elif unsealed:
        write_key_file(directory / "operator.key", {1: os.urandom(KEY_BYTES)})
    spec = ProcessSpec(
        name="agent",
        command=(
            *(sys.executable, "-m", "gunicorn", "--config", "crypto_agent/gunicorn.conf.py"),
            *("crypto_agent.wsgi", "--bind", f"127.0.0.1:{port}"),
        ),
        environment=environment,
        directory=ROOT,
        is_ready=lambda: _answers(url),
    )
    log = directory / "agent.log"
    agent = Agent(url, directory, environment, start(spec, log))
    try:
        agent.running.wait_until_ready()
        yield agent
    finally:
        # Nobody waits for what it still does, and an idle one takes two seconds to end.
        agent.running.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _command(
    environment: dict[str, str], *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=ROOT,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
