"""The environment of a test run: the settings modules are loaded in it, and fixtures start what it names.

Ports are chosen before Django reads its settings, so a setting is right from the beginning and the server
behind it is started only when a test asks for its fixture.
"""

import base64
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from demo.broker import redis_url
from demo.ports import free_port
from tests.services.programs import find_postgres


@dataclass(frozen=True)
class TestRun:
    """Where this run keeps its files, and the ports at which its servers listen once they are started."""

    __test__ = False

    directory: Path
    postgres: int
    redis: int
    agent: int
    pds: int
    plc: int
    #: Serves the origin below, which the PDS believes to be on the public internet.
    public: int
    redis_password: str = field(repr=False)

    #: A host name that the PDS accepts in the id of a confidential OAuth client.
    public_origin = "https://mail.waxwing.internal"

    def database_url(self, name: str) -> str:
        """A database at the run's PostgreSQL, or a SQLite file where no PostgreSQL is installed."""
        if find_postgres():
            return f"postgres://waxwing@127.0.0.1:{self.postgres}/{name}"
        return f"sqlite:///{self.directory / name}.sqlite3"

    @property
    def redis_url(self) -> str:
        return redis_url(self.redis, self.redis_password)

    def environment(self) -> dict[str, str]:
        """The WAXWING_* variables, with secrets made for this run alone."""
        operator_key = self.directory / "operator-key"
        operator_key.write_bytes(_key())
        operator_key.chmod(0o600)
        return {
            "WAXWING_DATA_DIR": str(self.directory / "data"),
            "WAXWING_SECRET_KEY": secrets.token_urlsafe(48),
            "WAXWING_TOKEN_KEYS": _key().decode(),
            "WAXWING_AGENT_TOKEN_SECRET": secrets.token_urlsafe(32),
            "WAXWING_PUBLIC_URL": "http://127.0.0.1:8000",
            "WAXWING_ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
            "WAXWING_UNDO_SECONDS": "0",
            "WAXWING_SIGN_INS_OF_ONE": "100000",
            "WAXWING_SIGN_INS_OF_ALL": "100000",
            "WAXWING_ADMIN_SIGN_INS_OF_ONE": "100000",
            "WAXWING_ADMIN_SIGN_INS_OF_NAME": "100000",
            "WAXWING_MAIL_DOMAIN": "mail.test",
            "WAXWING_NETWORK": "loopback",
            "WAXWING_PLC_URL": f"http://localhost:{self.plc}",
            "WAXWING_HANDLE_RESOLVER_URL": f"http://localhost:{self.pds}",
            "WAXWING_PROFILE_URL": f"http://localhost:{self.pds}",
            "WAXWING_AGENT_URL": f"http://127.0.0.1:{self.agent}",
            "WAXWING_REDIS_URL": self.redis_url,
            "WAXWING_MAILBOX_URL": f"maildir://{self.directory / 'mail'}",
            # As the people of most tests would choose; those of consent choose for themselves.
            "WAXWING_WHO_MAY_WRITE": "everyone",
            "WAXWING_DATABASE_URL": self.database_url("webmail"),
            "WAXWING_AGENT_DATA_DIR": str(self.directory / "agent"),
            "WAXWING_AGENT_SECRET_KEY": secrets.token_urlsafe(48),
            "WAXWING_AGENT_OPERATOR_KEY_PATH": str(operator_key),
            "WAXWING_AGENT_DATABASE_URL": self.database_url("agent"),
            # Passkeys need a name: those of tests are made for this one.
            "WAXWING_AGENT_WEB_ORIGIN": "http://localhost:8000",
            "WAXWING_AGENT_PUBLIC_URL": f"http://localhost:{self.agent}",
            "WAXWING_AGENT_PLC_URL": f"http://localhost:{self.plc}",
            "WAXWING_AGENT_NETWORK": "loopback",
            # Plain files, as the pages are tested without a collected folder of hashed ones.
            "WAXWING_DEBUG": "true",
        }


def _key() -> bytes:
    return base64.urlsafe_b64encode(secrets.token_bytes(32))


def _begin() -> TestRun:
    directory = Path(tempfile.mkdtemp(prefix="waxwing-tests-"))
    ports: set[int] = set()
    while len(ports) < 6:
        ports.add(free_port())
    run = TestRun(directory, *ports, redis_password=secrets.token_urlsafe(16))
    (directory / "data").mkdir()
    (directory / "agent").mkdir()
    for name in [name for name in os.environ if name.startswith("WAXWING_")]:
        del os.environ[name]
    os.environ.update(run.environment())
    # Hundreds of processes start in a run; each would compile all of the sources for itself.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # Playwright's event loop runs in the thread of the tests.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return run


RUN = _begin()
