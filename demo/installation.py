"""One whole installation on this machine, as data: its processes, their environments and health checks."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
from celery import Celery

from demo.broker import redis_process, redis_url
from demo.ports import accepts_connections
from demo.processes import ProcessSpec, inherited_environment
from demo.secrets_file import Secrets, keep_operator_key, keep_push_key, keep_secrets

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ports:
    """Where the installation's own servers listen, all on the loopback address."""

    web: int
    agent: int
    ingress: int
    redis: int


@dataclass(frozen=True)
class Installation:
    """Everything that tells one installation from another. All its files are below `directory`."""

    directory: Path
    ports: Ports
    #: Settings of the web and worker processes that differ from the ones below: which network, which mailbox.
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    agent_settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    worker_processes: int = 2
    web_processes: int = 1

    @property
    def url(self) -> str:
        """By name: browsers keep no passkeys for numbers."""
        return f"http://localhost:{self.ports.web}"

    @property
    def secrets(self) -> Secrets:
        return keep_secrets(self.directory / "secrets.json")

    @property
    def redis_url(self) -> str:
        return redis_url(self.ports.redis, self.secrets.redis_password)


def local_network_settings(plc_url: str, pds_url: str) -> dict[str, str]:
    """The settings with which an installation lives in the local network."""
    return {
        "WAXWING_NETWORK": "loopback",
        "WAXWING_PLC_URL": plc_url,
        "WAXWING_HANDLE_RESOLVER_URL": pds_url,
        "WAXWING_PROFILE_URL": pds_url,
        # Its three people know each other, though none follows another.
        "WAXWING_WHO_MAY_WRITE": "everyone",
    }


def local_agent_settings(plc_url: str, agent_port: int) -> dict[str, str]:
    """The settings with which people's apps in the local network reach the agent through their PDS."""
    return {
        "WAXWING_AGENT_NETWORK": "loopback",
        "WAXWING_AGENT_PLC_URL": plc_url,
        "WAXWING_AGENT_PUBLIC_URL": f"http://localhost:{agent_port}",
    }


def live_agent_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """What the operator's environment says of the agent's own place in the live network."""
    names = ("WAXWING_AGENT_PLC_URL", "WAXWING_AGENT_PUBLIC_DID", "WAXWING_AGENT_PUBLIC_URL")
    return {name: environment[name] for name in names if name in environment}


def live_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings for the live network, where what the operator's environment says goes before ours.

    Nobody there is told of a mail server that only this machine can reach.
    """
    return {
        "WAXWING_SMTP_PUBLIC_URL": "",
        **{
            name: value
            for name, value in environment.items()
            if name.startswith("WAXWING_") and not name.startswith("WAXWING_AGENT_")
        },
    }


def web_environment(installation: Installation, caller: str) -> dict[str, str]:
    """The environment of a process of the webmail; `caller` is what it is to the agent: web or worker."""
    data = installation.directory / "data"
    secrets = installation.secrets
    token_secrets = {"web": secrets.agent_web_token_secret, "worker": secrets.agent_worker_token_secret}
    ports = installation.ports
    return {
        **inherited_environment(),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "webmail.settings",
        "WAXWING_DATA_DIR": str(data),
        "WAXWING_DATABASE_URL": f"sqlite:///{data / 'webmail.sqlite3'}",
        "WAXWING_MAILBOX_URL": f"maildir://{data / 'mail'}",
        "WAXWING_SECRET_KEY": secrets.web_secret_key,
        "WAXWING_TOKEN_KEYS": secrets.token_key,
        "WAXWING_PUSH_KEY_PATH": str(data / "push-key.pem"),
        "WAXWING_PUBLIC_URL": installation.url,
        "WAXWING_MAIL_DOMAIN": "localhost",
        "WAXWING_INGRESS_URL": f"smtp://127.0.0.1:{ports.ingress}",
        "WAXWING_SMTP_PUBLIC_URL": f"smtp://localhost:{ports.ingress}",
        "WAXWING_AGENT_URL": f"http://127.0.0.1:{ports.agent}",
        "WAXWING_AGENT_TOKEN_SECRET": token_secrets[caller],
        "WAXWING_AGENT_CALLER": caller,
        "WAXWING_REDIS_URL": installation.redis_url,
        **installation.settings,
    }


def agent_environment(installation: Installation) -> dict[str, str]:
    """The environment of the crypto agent, the only process that is told where the operator's key is."""
    data = installation.directory / "agent"
    secrets = installation.secrets
    return {
        **inherited_environment(),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "crypto_agent.settings",
        "WAXWING_AGENT_DATA_DIR": str(data),
        "WAXWING_AGENT_DATABASE_URL": f"sqlite:///{data / 'agent.sqlite3'}",
        "WAXWING_AGENT_SECRET_KEY": secrets.agent_secret_key,
        "WAXWING_AGENT_OPERATOR_KEY_PATH": str(data / "operator-key"),
        "WAXWING_AGENT_WEB_ORIGIN": installation.url,
        "WAXWING_AGENT_WEB_TOKEN_SECRET": secrets.agent_web_token_secret,
        "WAXWING_AGENT_WORKER_TOKEN_SECRET": secrets.agent_worker_token_secret,
        **installation.agent_settings,
    }


def make_directories(installation: Installation) -> None:
    """The folders and keys that the processes expect. Can run again."""
    for name in ("data", "agent"):
        (installation.directory / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    keep_operator_key(installation.directory / "agent" / "operator-key")
    keep_push_key(installation.directory / "data" / "push-key.pem")


def preparations(installation: Installation) -> list[ProcessSpec]:
    """Commands to run before the processes start, in any order, any number of times.

    They make the databases' tables, and the static files under their hashed names.
    """
    web = web_environment(installation, "web")
    commands = [
        ("agent-database", agent_environment(installation), ("migrate",)),
        ("database", web, ("migrate",)),
        ("static-files", web, ("collectstatic", "--no-input")),
    ]
    return [
        python_process(
            name, ("django", *arguments, "--verbosity", "0"), environment=environment, is_ready=lambda: False
        )
        for name, environment, arguments in commands
    ]


def broker(installation: Installation) -> ProcessSpec:
    """Redis, which everything else needs first."""
    return redis_process(
        installation.directory / "redis", installation.ports.redis, installation.secrets.redis_password
    )


def processes(installation: Installation) -> list[ProcessSpec]:
    """What runs once the databases are there, in the order of starting."""
    ports = installation.ports
    web = web_environment(installation, "web")
    worker = web_environment(installation, "worker")
    schedule = installation.directory / "data" / "celerybeat-schedule"
    return [
        agent_process(agent_environment(installation), ports.agent),
        _worker(installation, "worker", "interactive,schedule", str(installation.worker_processes)),
        _worker(installation, "deliveries", "delivery", "3"),
        _worker(installation, "lookups", "lookups", "2"),
        python_process(
            "scheduler",
            ("celery", "--app", "webmail", "beat", "--loglevel", "INFO", "--schedule", str(schedule)),
            environment=worker,
            # It has no door to knock at; one that can't start ends, and that is noticed.
            is_ready=lambda: True,
        ),
        python_process(
            "ingress",
            ("django", "ingress"),
            environment=web,
            is_ready=partial(accepts_connections, ports.ingress),
        ),
        python_process(
            "web",
            ("uvicorn", "webmail.asgi:application", "--host", "127.0.0.1", "--port", str(ports.web)),
            # Addresses hold codes for signing in, and open pages hold a stream of events.
            (
                "--no-access-log",
                "--no-server-header",
                "--loop",
                "webmail.event_loop:SharingLoop",
                "--lifespan",
                "off",
                "--timeout-graceful-shutdown",
                "2",
                "--workers",
                str(installation.web_processes),
            ),
            environment=web,
            is_ready=partial(page_answers, f"{installation.url}/sign-in/"),
        ),
    ]


def _worker(installation: Installation, name: str, queues: str, concurrency: str) -> ProcessSpec:
    """A worker for some of the queues of webmail/queues.py."""
    return python_process(
        name,
        ("celery", "--app", "webmail", "worker", "--loglevel", "INFO", "--hostname", f"{name}@localhost"),
        ("--without-gossip", "--without-mingle", "--queues", queues, "--concurrency", concurrency),
        environment=web_environment(installation, "worker"),
        is_ready=partial(worker_answers, installation.redis_url, f"{name}@localhost"),
    )


def agent_process(environment: Mapping[str, str], port: int) -> ProcessSpec:
    """The crypto agent on the loopback address, with that environment."""
    return python_process(
        "agent",
        ("gunicorn", "crypto_agent.wsgi", "--config", str(ROOT / "crypto_agent" / "gunicorn.conf.py")),
        ("--bind", f"127.0.0.1:{port}", "--graceful-timeout", "3"),
        environment=environment,
        is_ready=partial(accepts_connections, port),
        is_used_by_others=True,
    )


def python_process(
    name: str,
    *arguments: tuple[str, ...],
    environment: Mapping[str, str],
    is_ready: Callable[[], bool],
    is_used_by_others: bool = False,
) -> ProcessSpec:
    """A module of our environment, run in the repository."""
    return ProcessSpec(
        name=name,
        command=(sys.executable, "-m", *(part for group in arguments for part in group)),
        environment=environment,
        directory=ROOT,
        is_ready=is_ready,
        umask=0o077,
        is_used_by_others=is_used_by_others,
    )


def worker_answers(broker_url: str, name: str) -> bool:
    """Whether the worker of that name takes commands from the broker."""
    with Celery(broker=broker_url) as app:
        return bool(app.control.ping([name], timeout=0.5))


def page_answers(url: str) -> bool:
    """Whether the page is shown; False also while the process is starting."""
    try:
        return httpx.get(url, timeout=10).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
