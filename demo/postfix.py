"""Postfix from this machine's packages, started with the very files that production uses (deploy/postfix)."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.processes import ProcessSpec, inherited_environment
from deploy.render import render_file

TEMPLATES = Path(__file__).resolve().parent.parent / "deploy" / "postfix"
FILES = ("main.cf", "master.cf", "outgoing_headers", "postmaster", "private_answers", "private_networks")
#: Settings of deploy/postfix/start that hold senders back; 0: not at all.
LIMITS = (
    "MAIL_QUEUE_MIN_FREE",
    "MAIL_CONNECTIONS_PER_MINUTE",
    "MAIL_MESSAGES_PER_MINUTE",
    "MAIL_RECIPIENTS_PER_MINUTE",
)


class PostfixUnavailable(Exception):
    """Postfix can't run here; the message says why in one sentence."""


@dataclass(frozen=True)
class Postfix:
    """A Postfix to start. Port 25 of production is `port`; `relay_port` carries outgoing mail."""

    spec: ProcessSpec
    config: Path
    port: int
    relay_port: int

    def flush(self) -> None:
        """Try everything in the queue at once."""
        self._run("postqueue", "-f")

    def queue(self) -> list[str]:
        """One JSON line for each mail in the queue."""
        return self._run("postqueue", "-j").splitlines()

    def check(self) -> str:
        """What `postfix check` has to say of the configuration; nothing when it is well."""
        return self._run("postfix", "check")

    def looked_up(self, kind: str, name: str, key: str) -> str:
        """What a table of its configuration says of a key; nothing where it has none for it."""
        return self._run("postmap", "-q", key, f"{kind}:{self.config / name}").strip()

    def setting(self, name: str) -> str:
        """A setting as Postfix reads it."""
        return self._run("postconf", "-h", name).strip()

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [_program(program) or program, "-c", str(self.config), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout + done.stderr


def why_not() -> str | None:
    """Why Postfix can't be started here, in one sentence; None if it can."""
    if _program("postfix") is None:
        return "Postfix is not installed (Debian: postfix)"
    if os.geteuid() != 0:
        return "Postfix can be started by root alone"
    try:
        pwd.getpwnam("postfix")
    except KeyError:
        return "there is no user postfix"
    return None


def prepare(
    directory: Path,
    *,
    port: int,
    relay_port: int,
    ingress_port: int,
    policy_port: int = 1,
    mail_domains: Sequence[str],
    tls_chain: Path | None = None,
    relayhost: str = "",
    dkim_milter: str = "",
    limits: Mapping[str, int] | None = None,
) -> Postfix:
    """Write its configuration; its queue lies in `directory` and stays.

    At `policy_port` it asks whose mailbox is full; without one nobody is there, and it takes mail for all.
    `tls_chain` is a PEM file with key and certificate. `relayhost`, as Postfix writes hosts, takes all mail
    for others; without it mail goes to public addresses alone. `dkim_milter`, as Postfix writes milters,
    signs it; without it nobody does. `limits` are those of LIMITS that are to hold, in octets and per minute.
    Start the result's spec with demo.processes.start.
    Raises PostfixUnavailable.
    """
    reason = why_not()
    executable = _program("postfix")
    if reason is not None or executable is None:
        raise PostfixUnavailable(reason)
    places = {name: directory / name for name in ("config", "queue", "state")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o755)
    shutil.chown(places["state"], "postfix", "postfix")
    values = {
        "QUEUE_DIR": str(places["queue"]),
        "STATE_DIR": str(places["state"]),
        "CONFIG_DIR": str(places["config"]),
        "MAIL_HOST": mail_domains[0],
        "MAIL_DOMAINS": ", ".join(mail_domains),
        "OWN_DOMAINS": "|".join(mail_domains).replace(".", "[.]"),
        "LISTEN": "127.0.0.1",
        "INET_PROTOCOLS": "ipv4",
        "SMTP_PORT": f"127.0.0.1:{port}",
        "RELAY_PORT": f"127.0.0.1:{relay_port}",
        "RELAY_NETWORKS": "127.0.0.0/8",
        "RELAYHOST": relayhost,
        "OUTGOING_ANSWERS": "" if relayhost else f"regexp:{places['config']}/private_answers",
        "OUTGOING_CHECK": ""
        if relayhost
        else f"check_recipient_mx_access,cidr:{places['config']}/private_networks,",
        "DKIM_MILTER": dkim_milter,
        "INGRESS": f"inet:[127.0.0.1]:{ingress_port}",
        "INGRESS_POLICY": f"inet:127.0.0.1:{policy_port}",
        "POSTMASTER": "postmaster@localhost.invalid",
        "RETRY_TIME": "2s",
        **{name: str((limits or {}).get(name, 0)) for name in LIMITS},
        "SMTPD_TLS_LEVEL": "may" if tls_chain else "none",
        "TLS_CHAIN_FILES": str(tls_chain or ""),
    }
    for name in FILES:
        render_file(TEMPLATES / name, places["config"] / name, values)
    spec = ProcessSpec(
        name="postfix",
        command=(executable, "-c", str(places["config"]), "start-fg"),
        environment=inherited_environment(),
        directory=directory,
        is_ready=lambda: _greets(port),
        start_seconds=30,
    )
    return Postfix(spec, places["config"], port, relay_port)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(5)
            greeting = connection.recv(64)
            connection.sendall(b"QUIT\r\n")
            return greeting.startswith(b"220")
    except OSError:
        return False
