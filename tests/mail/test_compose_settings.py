"""The settings that the processes have in their containers, as docker-compose.yml gives them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.compose import GIVEN, ROOT, mounts_of, settings_of

DOCKERFILE = (ROOT / "Dockerfile").read_text()
#: All that run our code and stay; "migrate" and "migrate-agent" write to their databases alone.
RUNNING = ("web", "worker", "lookups", "deliveries", "scheduler", "ingress", "agent")


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's secrets folder."""
    folder = tmp_path_factory.mktemp("operator") / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets", "mx.example.org", folder], check=True)
    return folder


def paths_in(value: object) -> Iterator[Path]:
    """Every path in the value of a setting, also those that an address (maildir:///path) names."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from paths_in(each)
    elif isinstance(value, str) and (path := re.fullmatch(r"(?:[a-z]+://)?(/.*)", value)):
        yield Path(path[1])


def is_read_alone(path: Path) -> bool:
    """Whether it is part of the image that nobody writes to: the sources, and the collected static files."""
    copied = " ".join(re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)).split()
    return path == ROOT or any(path.is_relative_to(ROOT / name) for name in [*copied, "staticfiles"])


@pytest.mark.parametrize("service", RUNNING)
def test_every_path_of_the_settings_is_in_a_volume(service: str, secrets: Path) -> None:
    mounts = [Path(mount) for mount in mounts_of(service)]
    for name, value in settings_of(service, secrets).items():
        for path in paths_in(value):
            if is_read_alone(path) or path.is_relative_to(secrets):
                continue
            holding = [mount for mount in mounts if path.is_relative_to(mount)]
            assert holding, f"{service} may not write to {path} of {name}"
            assert all(str(mount) in DOCKERFILE or mount == Path("/tmp") for mount in holding)


def test_what_web_and_worker_keep_outlives_their_containers(secrets: Path) -> None:
    for service in ("web", "worker"):
        settings = settings_of(service, secrets)
        for name in ("DATA_DIR", "BLOB_DIR", "SPOOL_DIR", "IMPORT_DIR"):
            assert not settings[name].startswith("/tmp"), name


def test_frames_of_ordinary_mail_have_a_name_of_their_own(secrets: Path) -> None:
    settings = settings_of("web", secrets)
    assert settings["FRAME_URL"] == "https://frames.example.org"
    assert settings["ALLOWED_HOSTS"] == ["mail.example.org", "frames.example.org"]
    without = settings_of("web", secrets, {**GIVEN, "FRAME_URL": ""})
    assert (without["FRAME_URL"], without["ALLOWED_HOSTS"]) == ("", ["mail.example.org"])
