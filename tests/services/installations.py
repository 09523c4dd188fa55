"""Whole installations for tests, from the same parts as the demo's: started, killed, looked into."""

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg

from demo import installation as parts
from demo.local_network import NetworkInfo
from demo.ports import free_port
from demo.processes import ProcessSpec, RunningProcess, start, stop_all
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.services.preparations import Preparation
from webmail.mailbox import Mailbox
from webmail.mailbox.imap import ImapMailbox
from webmail.mailbox.maildir import MaildirMailbox
from webmail.mailbox.names import mailbox_name

#: Everything that waits in earnest waits shortly here.
QUICK = {
    "WAXWING_DELIVERY_GAPS_SECONDS": "1,2",
    "WAXWING_DELIVERY_LEASE_SECONDS": "4",
    "WAXWING_SIGNER_CHECK_GAPS_SECONDS": "2",
    "WAXWING_RECONCILE_SECONDS": "1",
    "WAXWING_UNFINISHED_SECONDS": "3",
    "WAXWING_PULL_SECONDS": "4",
    "WAXWING_PULL_LOCK_SECONDS": "4",
    "WAXWING_INGRESS_ENVELOPES_PER_HOUR": "5000",
    "WAXWING_SIGN_INS_OF_ONE": "1000",
    "WAXWING_ADMIN_SIGN_INS_OF_ONE": "1000",
    # On a busy machine each letter of a handle is looked up.
    "WAXWING_SEARCHES_OF_ONE": "5000",
    "WAXWING_SUGGESTIONS_OF_ONE": "50000",
    "WAXWING_UNDO_SECONDS": "0",
    # Receipts are messages too; most tests here count those that people wrote.
    "WAXWING_TELL_OPENED": "false",
}


class RunningInstallation:
    """An installation with its processes by name; a test may kill one and start it again."""

    def __init__(self, installation: parts.Installation, dovecot: DovecotServer | None) -> None:
        self.installation = installation
        self.dovecot = dovecot
        self.processes: dict[str, RunningProcess] = {}
        self._specs = {
            spec.name: spec for spec in (parts.broker(installation), *parts.processes(installation))
        }

    @property
    def url(self) -> str:
        return self.installation.url

    @property
    def url_by_number(self) -> str:
        """Where signing in comes back to, to be sent on to `url`."""
        return f"http://127.0.0.1:{self.installation.ports.web}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The worker's."""
        return parts.web_environment(self.installation, "worker")

    @property
    def agent_database_url(self) -> str:
        return parts.agent_environment(self.installation)["WAXWING_AGENT_DATABASE_URL"]

    def log_of(self, name: str) -> Path:
        return self.installation.directory / "logs" / f"{name}.log"

    def prepare(self) -> None:
        """Makes the databases' tables, and the static files."""
        begun = [
            (prepared, start(prepared.spec, self.log_of(prepared.spec.name)))
            for prepared in map(Preparation, parts.preparations(self.installation))
            if not prepared.is_copied()
        ]
        for prepared, command in begun:
            command.wait(120)
            if command.popen.returncode != 0:
                raise command.failure("did not succeed")
            prepared.keep()

    def start(self, *names: str) -> None:
        """Starts the named processes, or all, and waits until they are ready."""
        if not names:
            self.start("redis")
        begun = [self.begin(name) for name in names or self._specs if name not in self.processes]
        for process in begun:
            process.wait_until_ready()

    def begin(self, name: str) -> RunningProcess:
        """Starts a process without waiting for it. What its former lives wrote stays in the log."""
        log = self.log_of(name)
        if log.exists():
            log.rename(log.with_name(f"{name}.{time.time_ns()}.log"))
        self.processes[name] = start(self._specs[name], log)
        return self.processes[name]

    def stop(self, *names: str) -> None:
        stop_all(self.processes.pop(name) for name in names or list(self.processes))

    @contextmanager
    def set_otherwise(self, name: str, settings: Mapping[str, str]) -> Iterator[None]:
        """A process runs with other settings meanwhile: it is stopped and started before, and after."""
        spec = self._specs[name]
        self._restart(replace(spec, environment={**spec.environment, **settings}))
        try:
            yield
        finally:
            self._restart(spec)

    def _restart(self, spec: ProcessSpec) -> None:
        self.stop(spec.name)
        self._specs[spec.name] = spec
        self.start(spec.name)

    def kill(self, name: str) -> None:
        """SIGKILL to the process and all its children; returns when all of them are dead."""
        process = self.processes.pop(name)
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            # One that is still dying holds its listening socket: what is started next would seem to be ready.
            wait_until(lambda: all(is_dead(child) for child in children), every=0.01)
        process.kill()

    def manage(self, *arguments: str) -> str:
        """Runs a management command as an operator does, and returns what it says."""
        spec = parts.python_process(
            "manage", ("django", *arguments), environment=self.environment, is_ready=lambda: True
        )
        done = subprocess.run(
            spec.command,
            cwd=spec.directory,
            env=dict(spec.environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} failed: {done.stdout}{done.stderr}"
        return done.stdout

    def sql(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        """The rows that a statement, with a "?" for each value, gives in the webmail's database."""
        return query(self.environment["WAXWING_DATABASE_URL"], statement, *values)

    def a_day_passes(self) -> None:
        """For what is known of other people's devices: it is as old as may be, and will be read again."""
        self.sql("UPDATE accounts_peer SET checked_at = NULL, profile_checked_at = NULL")
        self.sql("UPDATE accounts_peercertificate SET checked_at = NULL")

    def mailbox(self, did: str) -> Mailbox:
        """Somebody's mailbox, opened past the webmail."""
        url = urlsplit(self.environment["WAXWING_MAILBOX_URL"])
        if url.scheme == "maildir":
            return MaildirMailbox(url.path, mailbox_name(did))
        return ImapMailbox(url, mailbox_name(did), self.environment["WAXWING_MAIL_TOKEN_KEY_PATH"])

    def mails(self, did: str, folder: str) -> list[bytes]:
        """What lies in a folder."""
        with self.mailbox(did) as mailbox:
            stored = mailbox.fetch(folder, mailbox.uids_after(folder, 0))
            return [stored[uid].raw for uid in sorted(stored)]


@contextmanager
def running_installation(
    directory: Path,
    network: NetworkInfo,
    *,
    with_dovecot: bool = False,
    settings: Mapping[str, str] | None = None,
    agent_settings: Mapping[str, str] | None = None,
    ports: parts.Ports | None = None,
) -> Iterator[RunningInstallation]:
    """A whole installation in the local network, everything its own; mail lies in files or in Dovecot."""
    with ExitStack() as stack:
        dovecot = stack.enter_context(dovecot_server()) if with_dovecot else None
        ports = ports or free_ports()
        running = RunningInstallation(
            parts.Installation(
                directory,
                ports,
                {
                    **parts.local_network_settings(network.plc_url, network.pds_url),
                    **(dovecot.dovecot.settings() if dovecot else {}),
                    **QUICK,
                    **(settings or {}),
                },
                {**parts.local_agent_settings(network.plc_url, ports.agent), **(agent_settings or {})},
            ),
            dovecot,
        )
        parts.make_directories(running.installation)
        stack.callback(running.stop)
        running.prepare()
        running.start()
        yield running


def is_dead(process: psutil.Process) -> bool:
    """Whether it ended; who its new parent is, and when that one asks for its status, does not matter."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def free_ports() -> parts.Ports:
    return parts.Ports(*(free_port() for _each in range(4)))


def query(database_url: str, statement: str, *values: str) -> list[tuple[Any, ...]]:
    """The rows that a statement, with a "?" for each value, gives in SQLite or PostgreSQL.

    What it changes is committed.
    """
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=20)) as lite, lite:
            return lite.execute(statement, values).fetchall()
    with psycopg.connect(database_url) as postgres:
        cursor = postgres.execute(statement.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else []


def wait_until_nothing_is_left(unfinished: Callable[[], list[Any]], seconds: float) -> None:
    """Returns when the list is empty; fails, showing it, when it is not in that time."""
    deadline = time.monotonic() + seconds
    while left := unfinished():
        assert time.monotonic() < deadline, f"left after {seconds:.0f} seconds: {left!r}"
        time.sleep(0.5)


def wait_until(condition: Callable[[], object], seconds: float = 30, *, every: float = 0.2) -> None:
    """Returns when the condition holds; fails when it does not in that time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} seconds: {found!r}"
        time.sleep(every)
