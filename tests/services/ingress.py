"""The LMTP or SMTP ingress as its own process, on the test's own database and mailbox."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection

from demo.ports import accepts_connections, free_port
from demo.processes import ProcessSpec, RunningProcess, inherited_environment, start

ROOT = Path(__file__).resolve().parent.parent.parent


class IngressProcess:
    """A running ingress that a test may kill and start again."""

    def __init__(self, directory: Path, scheme: str, port: int, variables: Mapping[str, str]) -> None:
        self.port = port
        self.policy_port = free_port()
        self.log = directory / "ingress.log"
        environment = {
            **inherited_environment(),
            **{name: value for name, value in os.environ.items() if name.startswith("WAXWING_")},
            "DJANGO_SETTINGS_MODULE": "webmail.settings",
            "WAXWING_INGRESS_URL": f"{scheme}://127.0.0.1:{port}",
            "WAXWING_INGRESS_POLICY_URL": f"policy://127.0.0.1:{self.policy_port}",
            "WAXWING_DATABASE_URL": _url_of_test_database(),
            "WAXWING_MAILBOX_URL": settings.MAILBOX_URL,
            "WAXWING_MAIL_TOKEN_KEY_PATH": settings.MAIL_TOKEN_KEY_FILE,
            "WAXWING_INGRESS_ENVELOPES_PER_HOUR": str(settings.INGRESS_ENVELOPES_PER_HOUR),
            **variables,
        }
        self.spec = ProcessSpec(
            name="ingress",
            command=(sys.executable, "manage.py", "ingress"),
            environment=environment,
            directory=ROOT,
            is_ready=lambda: accepts_connections(port),
        )
        self.running: RunningProcess | None = None

    def start(self) -> None:
        self.running = start(self.spec, self.log)
        self.running.wait_until_ready()

    def make_sure_it_runs(self) -> None:
        """Start it again if the last test killed it."""
        if self.running is None or self.running.has_ended():
            self.start()

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()


@contextmanager
def ingress_process(
    directory: Path,
    *,
    scheme: str = "lmtp",
    port: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[IngressProcess]:
    """Runs the ingress on a free loopback port. The test needs a database that another process can see."""
    ingress = IngressProcess(directory, scheme, port or free_port(), variables or {})
    ingress.start()
    try:
        yield ingress
    finally:
        ingress.stop()


def _url_of_test_database() -> str:
    values = connection.settings_dict
    if connection.vendor == "postgresql":
        return f"postgres://{values['USER']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
    return f"sqlite:///{values['NAME']}"
