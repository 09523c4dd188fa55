"""The settings that the processes have in their containers, as docker-compose.yml gives them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.services.compose import GIVEN, ROOT, SERVICES, environment_of, mounts_of, settings_of

README = (ROOT / "deploy" / "README.md").read_text()
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


def test_the_web_knows_what_the_dns_should_say_of_mail(secrets: Path) -> None:
    settings = settings_of("web", secrets, {**GIVEN, "RELAYHOST": "[relay.example.com]"})
    assert settings["DKIM_SELECTOR"].startswith("waxwing-")
    assert settings["DKIM_RECORD"].startswith("v=DKIM1; k=rsa; p=")
    assert settings["RELAYHOST"] == "[relay.example.com]"


def test_frames_of_ordinary_mail_have_a_name_of_their_own(secrets: Path) -> None:
    settings = settings_of("web", secrets)
    assert settings["FRAME_URL"] == "https://frames.example.org"
    assert settings["ALLOWED_HOSTS"] == ["mail.example.org", "frames.example.org"]
    without = settings_of("web", secrets, {**GIVEN, "FRAME_URL": ""})
    assert (without["FRAME_URL"], without["ALLOWED_HOSTS"]) == ("", ["mail.example.org"])


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\bWAXWING_[A-Z_]+[A-Z]\b", text))


def passed() -> set[str]:
    """Every setting that some container gets, also in the form of a file."""
    names = {name for service in RUNNING for name in SERVICES[service]["environment"]}
    return names | {name.removesuffix("_FILE") for name in names}


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def not_for_compose() -> set[str]:
    return names_in(section("Settings").split("Not for Docker Compose are")[1])


@pytest.mark.parametrize("path", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=str)
def test_a_setting_that_a_document_names_reaches_its_container(path: Path) -> None:
    assert names_in(path.read_text()) <= passed() | not_for_compose()


@pytest.mark.parametrize("module", ["webmail", "crypto_agent"])
def test_a_setting_that_the_code_reads_reaches_its_container_or_is_said_not_to(module: str) -> None:
    read = names_in((ROOT / module / "settings.py").read_text())
    # One secret for all callers, where each has its own; names of hosts come from the addresses.
    read -= {"WAXWING_AGENT_TOKEN_SECRET", "WAXWING_ALLOWED_HOSTS"}
    assert read - passed() - not_for_compose() == set()


def test_what_the_table_of_settings_names_an_operator_can_give() -> None:
    table = names_in(section("Settings").split("Not for Docker Compose are")[0])
    free = {
        name
        for service in RUNNING
        for name, value in SERVICES[service]["environment"].items()
        if value is None
    }
    assert table == free
    for service in RUNNING:
        given = dict.fromkeys(free, "some") | GIVEN
        environment = environment_of(service, given)
        mine = [name for name, value in SERVICES[service]["environment"].items() if value is None]
        assert all(environment[name] == "some" for name in mine)


def test_every_variable_of_the_compose_file_is_explained() -> None:
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "deploy" / "apps.yml").read_text()
    for name in set(re.findall(r"\$\{([A-Z_]+)", text)):
        assert name in README, name


@pytest.mark.parametrize(
    ("named", "secrets"),
    [
        ("Mailbox tokens", {"mail_token_key", "mail_token_public_key"}),
        ("OAuth tokens", {"token_keys"}),
        ("TLS of mail", {"smtp_tls_chain"}),
    ],
)
def test_whoever_has_a_key_is_restarted_with_the_next(named: str, secrets: set[str]) -> None:
    text = section("Changing keys").split(f"- {named}: ")[1].split("\n- ")[0]
    having = {
        name
        for name, definition in SERVICES.items()
        for secret in definition.get("secrets", [])
        if (secret["source"] if isinstance(secret, dict) else secret) in secrets
    }
    restarted = {word for words in re.findall(r"`([^`]+)`", text) for word in words.split()}
    assert restarted & set(SERVICES) == having


def test_choices_of_the_operator_arrive(secrets: Path) -> None:
    given = {
        **GIVEN,
        "WAXWING_WHO_MAY_WRITE": "nobody",
        "WAXWING_UNDO_SECONDS": "5",
        "WAXWING_TELL_OPENED": "false",
        "WAXWING_AGENT_OPERATOR_KEY": "passphrase:",
    }
    for service in ("web", "worker", "lookups"):
        settings = settings_of(service, secrets, given)
        assert [settings[name] for name in ("WHO_MAY_WRITE", "UNDO_SECONDS", "TELL_OPENED")] == [
            "nobody",
            5,
            False,
        ]
    assert settings_of("agent", secrets, given)["OPERATOR_KEY"] == "passphrase:"
    assert settings_of("agent", secrets)["OPERATOR_KEY"] == f"file:{secrets}/agent_operator_key"


def test_apps_reach_the_agent_under_its_public_name(secrets: Path) -> None:
    added = yaml.safe_load((ROOT / "deploy" / "apps.yml").read_text())["services"]
    assert set(added) == {"agent"}
    assert set(added["agent"]["networks"]) == {"apps", "agent", "agent-data"}
    assert all(port.startswith("127.0.0.1:") for port in added["agent"]["ports"])
    settings = settings_of(
        "agent", secrets, {**GIVEN, "WAXWING_AGENT_PUBLIC_URL": "https://agent.example.org"}
    )
    assert settings["PUBLIC_DID"] == "did:web:agent.example.org"
    assert settings["ALLOWED_HOSTS"] == ["agent", "agent.example.org"]
