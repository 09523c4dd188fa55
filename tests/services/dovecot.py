"""A Dovecot of the test run's own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.dovecot import Dovecot, prepare, why_not
from demo.ports import free_port
from demo.processes import RunningProcess, start
from tests.services.programs import LEFT_OUT, need


class DovecotServer:
    """A running Dovecot that a test may kill and start again; its mail stays."""

    def __init__(self, dovecot: Dovecot, log: Path) -> None:
        self.dovecot = dovecot
        self.log = log
        self.running: RunningProcess | None = None

    def start(self) -> None:
        self.begin().wait_until_ready()
        self.dovecot.warm_up()

    def begin(self) -> RunningProcess:
        """Start it without waiting until it answers."""
        self.running = start(self.dovecot.spec, self.log)
        return self.running

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()

    def kill(self) -> None:
        """End it and every process of its group at once, as a power cut would."""
        if self.running is not None:
            self.running.kill()

    @property
    def url(self) -> str:
        return self.dovecot.url

    @property
    def token_key(self) -> str:
        return str(self.dovecot.token_key)

    @property
    def mail(self) -> Path:
        return self.dovecot.spec.directory / "mail"


@contextmanager
def dovecot_server(*, storage: str = "10G") -> Iterator[DovecotServer]:
    """Runs Dovecot on a free loopback port with an empty mail store; a failure shows the end of its log.
    `storage` is what a mailbox may hold."""
    need("Dovecot")
    directory = Path(tempfile.mkdtemp(prefix="waxwing-dovecot-"))
    # Dovecot runs as another user when we are root.
    directory.chmod(0o755)
    reason = why_not(directory)
    if reason is not None:
        pytest.skip(f"{LEFT_OUT}Dovecot: {reason}")
    server = DovecotServer(prepare(directory, free_port(), storage=storage), directory / "log")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
