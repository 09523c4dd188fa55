"""docker-compose.yml as Compose reads it on an operator's host, and the settings of the processes in it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
#: Where Compose puts secrets in a container.
SECRETS = "/run/secrets"
#: What deploy/README.md has an operator write into .env.
GIVEN = {
    "PUBLIC_URL": "https://mail.example.org",
    "FRAME_URL": "https://frames.example.org",
    "MAIL_DOMAIN": "example.org",
    "MAIL_HOST": "mx.example.org",
    "POSTMASTER": "operator@example.com",
}

_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Z][A-Z0-9_]*)(?::([-?])([^}]*))?\})")


class NotGiven(Exception):
    """A variable that the operator has to write into .env is not there."""


def interpolated(value: str, given: dict[str, str]) -> str:
    """A value of the file with ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` filled in.

    Raises NotGiven. Source: the Compose specification, "Interpolation".
    """

    def filled(match: re.Match[str]) -> str:
        dollar, name, kind, rest = match.groups()
        if dollar:
            return "$"
        if found := given.get(name, ""):
            return found
        if kind == "?":
            raise NotGiven(name)
        return rest if kind == "-" else ""

    return _VARIABLE.sub(filled, value)


def environment_of(service: str, given: dict[str, str] | None = None) -> dict[str, str]:
    """The environment that a service's container gets, under what the operator wrote into .env.

    What has no value in the file has the one that .env gives it there, or is left out.
    """
    asked = GIVEN if given is None else given
    environment = SERVICES[service].get("environment", {})
    return {
        name: asked[name] if value is None else interpolated(str(value), asked)
        for name, value in environment.items()
        if value is not None or name in asked
    }


def mounts_of(service: str) -> set[str]:
    """The folders of a container that it may write to."""
    definition = SERVICES[service]
    volumes = [each.split(":") for each in definition.get("volumes", [])]
    writable = {each[1] for each in volumes if each[2:] != ["ro"]}
    return writable | {each.split(":")[0] for each in definition.get("tmpfs", [])}


def settings_of(service: str, secrets: Path, given: dict[str, str] | None = None) -> dict[str, Any]:
    """The Django settings of a service's process; ``secrets`` is the folder that deploy/make-secrets filled.

    Paths come as strings.
    """
    module = "crypto_agent.settings" if "agent" in service else "webmail.settings"
    script = (
        f"import json, {module} as s; "
        "print(json.dumps({n: v for n, v in vars(s).items() if n.isupper()}, default=str))"
    )
    environment = {
        name: value.replace(SECRETS, str(secrets)) for name, value in environment_of(service, given).items()
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{service}: {done.stderr}"
    read: dict[str, Any] = json.loads(done.stdout)
    return read
