"""Dovecot from this machine's packages, started with the very files that production uses (deploy/dovecot)."""

import grp
import os
import pwd
import shutil
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from demo.processes import ProcessSpec, inherited_environment
from deploy.render import render_file

TEMPLATES = Path(__file__).resolve().parent.parent / "deploy" / "dovecot"
#: Who runs it when we are root, which Dovecot won't be.
PACKAGE_USER = "dovecot"
#: Socket paths are limited to 107 octets, of which Dovecot's own names need some thirty.
MAX_DIRECTORY = 70


class DovecotUnavailable(Exception):
    """Dovecot can't run here; the message says why in one sentence."""


@dataclass(frozen=True)
class Dovecot:
    """A Dovecot to start: its process, and what the webmail's settings need to use it."""

    spec: ProcessSpec
    port: int
    #: PEM file of the private key that signs mailbox tokens (WAXWING_MAIL_TOKEN_KEY_PATH).
    token_key: Path

    @property
    def url(self) -> str:
        """For WAXWING_MAILBOX_URL."""
        return f"imap://127.0.0.1:{self.port}"

    def settings(self) -> Mapping[str, str]:
        return {"WAXWING_MAILBOX_URL": self.url, "WAXWING_MAIL_TOKEN_KEY_PATH": str(self.token_key)}

    def warm_up(self) -> None:
        """Log in once: the first login after a start takes some seconds. Raises MailboxError.

        Needs no settings of the webmail.
        """
        from urllib.parse import urlsplit

        from webmail.mailbox.imap import ImapMailbox

        with ImapMailbox(urlsplit(self.url), "did!web!localhost", str(self.token_key)):
            pass


def why_not(directory: Path) -> str | None:
    """Why Dovecot can't be started with its files in `directory`, in one sentence; None if it can."""
    if program() is None:
        return "Dovecot is not installed (Debian: dovecot-imapd)"
    if len(str(directory)) > MAX_DIRECTORY:
        return f"the path {directory} is too long for Dovecot's sockets"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(PACKAGE_USER)
        except KeyError:
            return f"there is no user {PACKAGE_USER} to run Dovecot as"
        for parent in directory.absolute().parents:
            if parent.exists() and not parent.stat().st_mode & stat.S_IXOTH:
                return f"the user {PACKAGE_USER} may not enter {parent}"
    return None


def program() -> str | None:
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def prepare(directory: Path, port: int, *, storage: str = "10G") -> Dovecot:
    """Write its configuration, and a token key if there is none; mail lies in `directory`/mail and stays.
    `storage` is what a mailbox may hold, as Dovecot writes sizes.

    Start the result with demo.processes.start, wait until it is ready, then call warm_up.
    Raises DovecotUnavailable.
    """
    reason = why_not(directory)
    executable = program()
    if reason is not None or executable is None:
        raise DovecotUnavailable(reason)
    places = {name: directory / name for name in ("run", "state", "mail", "config", "keys")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    token_key = directory / "token-key.pem"
    public_key = places["keys"] / "default" / "ES256" / "default"
    public_key.parent.mkdir(parents=True, exist_ok=True)
    public_key.write_bytes(write_token_key(token_key))
    user = pwd.getpwnam(PACKAGE_USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    values = {
        "DOVECOT_USER": user.pw_name,
        "DOVECOT_GROUP": _group_name(user.pw_gid),
        "RUN_DIR": str(places["run"]),
        "STATE_DIR": str(places["state"]),
        "MAIL_DIR": str(places["mail"]),
        "CONFIG_DIR": str(places["config"]),
        "KEY_DIR": str(places["keys"]),
        "LISTEN": "127.0.0.1",
        "IMAP_PORT": str(port),
        "MAILBOX_STORAGE": storage,
    }
    for name in ("dovecot.conf", "oauth2.conf"):
        render_file(TEMPLATES / name, places["config"] / name, values)
    command = [executable, "-F", "-c", str(places["config"] / "dovecot.conf")]
    if os.geteuid() == 0:
        for name in ("run", "state", "mail"):
            os.chown(places[name], user.pw_uid, user.pw_gid)
    spec = ProcessSpec(
        name="dovecot",
        command=tuple(command),
        environment=inherited_environment(),
        directory=directory,
        is_ready=lambda: _answers(port),
        user=user.pw_name if os.geteuid() == 0 else None,
        is_used_by_others=True,
        start_seconds=30,
    )
    return Dovecot(spec, port, token_key)


def write_token_key(path: Path) -> bytes:
    """Make the P-256 key that signs mailbox tokens, unless it is there; returns its public half as PEM."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(file, "wb") as opened:
            opened.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _group_name(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(5)
            return connection.recv(64).startswith(b"* OK")
    except OSError:
        return False
