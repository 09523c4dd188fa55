"""The secrets of one installation: made once, kept in files that only their owner can read."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass(frozen=True)
class Secrets:
    """What the settings of the web, worker and agent processes, and Redis, ask for."""

    web_secret_key: str = field(repr=False)
    token_key: str = field(repr=False)
    agent_secret_key: str = field(repr=False)
    #: What each caller signs its tokens for the agent with, so that neither can pass as the other.
    agent_web_token_secret: str = field(repr=False)
    agent_worker_token_secret: str = field(repr=False)
    redis_password: str = field(repr=False)


def keep_secrets(file: Path) -> Secrets:
    """The secrets in `file`, made first if it does not exist."""
    if not file.exists():
        made = Secrets(
            web_secret_key=secrets.token_urlsafe(48),
            token_key=random_key(),
            agent_secret_key=secrets.token_urlsafe(48),
            agent_web_token_secret=secrets.token_urlsafe(48),
            agent_worker_token_secret=secrets.token_urlsafe(48),
            redis_password=secrets.token_urlsafe(24),
        )
        write_private_file(file, json.dumps(asdict(made)))
    return Secrets(**json.loads(file.read_text()))


def keep_operator_key(file: Path) -> None:
    """Makes the agent's operator key, 32 bytes in url-safe base64, if `file` does not exist."""
    if not file.exists():
        write_private_file(file, random_key())


def keep_push_key(file: Path) -> None:
    """Makes the key by which push services know the installation, P-256 in PEM, if `file` does not exist."""
    if not file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private_file(file, pem.decode())


def random_key() -> str:
    """32 random bytes in url-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def write_private_file(file: Path, text: str) -> None:
    """Writes a file, whole or not at all, that only its owner can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
        output.flush()
        os.fsync(output.fileno())
    unfinished.rename(file)
