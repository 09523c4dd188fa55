"""Private keys stay in the agent, and what people write stays sealed wherever it is kept."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.installation import agent_environment
from tests.faults.conftest import CANARY
from tests.faults.secret_search import (
    Place,
    columns_of,
    distinct,
    environments_of,
    files_below,
    found,
    keys_of_agent,
    keys_of_redis,
    memory_of,
)
from tests.services.inhabited import Inhabited
from tests.services.installations import RunningInstallation

#: The processes that must not be able to open anything.
WITHOUT_KEYS = ("web", "worker", "deliveries", "lookups", "scheduler", "ingress")
#: Settings of the agent that others may know: what callers prove themselves with, and where it and the
#: directory of DIDs are.
KNOWN_TO_OTHERS = ("TOKEN_SECRET", "PUBLIC_URL", "PLC_URL", "NETWORK", "WEB_ORIGIN", "RP_ID")


@pytest.fixture(scope="module")
def keys(in_use: Inhabited) -> dict[str, bytes]:
    agent = in_use.running.installation.directory / "agent"
    return keys_of_agent(agent / "agent.sqlite3", agent / "operator-key")


def outside_the_agent(running: RunningInstallation) -> Iterator[Place]:
    """Files, database, Redis and logs: all that the installation keeps, without what is the agent's own."""
    directory = running.installation.directory
    yield from files_below(directory, without=[directory / "agent"])
    yield from columns_of(running.environment["WAXWING_DATABASE_URL"])
    yield from keys_of_redis(running.installation.redis_url)


def test_the_agent_holds_every_kind_of_key(keys: dict[str, bytes]) -> None:
    kinds = sorted(name.split()[0] for name in keys)
    three = 3 * ["archive", "data", "device", "prekey-secret", "prekey-signing-key"]
    assert kinds == sorted([*three, "the"])
    assert {len(key) for key in keys.values()} == {32}
    assert len(set(keys.values())) == len(keys)


@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
def test_the_search_finds_a_key_in_any_form(keys: dict[str, bytes], before: bytes) -> None:
    name, key = next(iter(keys.items()))
    around = before + key + b"after"
    pem = "\n".join(textwrap.wrap(base64.b64encode(around).decode(), 32)).encode()
    written = [
        around,
        around.hex().encode(),
        around.hex().upper().encode(),
        base64.b64encode(around),
        base64.urlsafe_b64encode(around),
        pem,
        repr(base64.b64encode(around)).encode(),
    ]
    for form in written:
        assert found(keys, [("here", b"something " + form + b" something")]) == [f"{name} in here"]
    assert found(keys, [("here", bytes(range(256)) * 10)]) == []


def test_no_key_is_in_anything_that_is_kept(in_use: Inhabited, keys: dict[str, bytes]) -> None:
    assert found(keys, outside_the_agent(in_use.running)) == []


def test_no_key_is_in_an_environment_or_a_setting(in_use: Inhabited, keys: dict[str, bytes]) -> None:
    running = in_use.running
    places = [place for name in WITHOUT_KEYS for place in environments_of(running.processes[name].pid)]
    settings = running.manage("diffsettings", "--all").encode()
    assert b"AGENT_TOKEN_SECRET" in settings
    assert found(keys, [*places, ("settings", settings)]) == []
    # Nor the way to one.
    agents = agent_environment(running.installation)
    own = {
        value.encode()
        for name, value in agents.items()
        if name.startswith("WAXWING_AGENT_") and not any(known in name for known in KNOWN_TO_OTHERS)
    }
    assert str(running.installation.directory / "agent" / "operator-key").encode() in own
    for where, content in [*places, ("settings", settings)]:
        assert [value for value in own if value in content] == [], where


def test_no_key_is_in_the_memory_of_web_and_worker(in_use: Inhabited, keys: dict[str, bytes]) -> None:
    running = in_use.running
    # Hundreds of megabytes are looked through for each form of each key; one of each kind says it of all.
    one_of_each = dict({name.split()[0]: (name, key) for name, key in keys.items()}.values())
    secret = {"web's own": running.installation.secrets.web_secret_key.encode()}
    for name in ("web", "worker", "deliveries", "lookups"):
        try:
            memory = list(memory_of(running.processes[name].pid))
        except PermissionError:
            pytest.skip("another process's memory may not be read here")
        # What is known to be there is found.
        assert found(secret, memory) != []
        assert found(one_of_each, memory) == []


def test_what_was_written_is_nowhere_in_plain(in_use: Inhabited) -> None:
    running = in_use.running
    canary = {"the text": distinct(CANARY)}
    agent = running.installation.directory / "agent"
    assert any(
        CANARY in text for path in in_use.people["bob"].rows() for text in in_use.people["bob"].texts(path)
    )
    assert found(canary, outside_the_agent(running)) == []
    assert found(canary, files_below(agent)) == []


def test_all_that_is_kept_was_looked_at(in_use: Inhabited) -> None:
    running = in_use.running
    places = dict(outside_the_agent(running))
    directory = running.installation.directory
    logs = {f"{name}.log" for name in ("agent", "redis", *WITHOUT_KEYS)}
    assert logs <= {Path(where).name for where in places if where.startswith(str(directory / "logs"))}
    assert any("appendonly" in where for where in places)
    assert any(where.startswith(str(directory / "data" / "mail")) for where in places)
    assert places["table webmail_message"]
    assert places["table accounts_oauthsession"]
    assert any(where.startswith("Redis") for where in places)
