"""The pages of apps where the agent is away, serves none, or is asked by somebody else."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.agent import agent, kept_client
from demo.ports import free_port
from tests.accounts.conftest import SignIn
from tests.services.agent import AgentProcess, agent_process

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {"name": "Photo diary", "purposes": ["status"], "days": "30", "hourly_limit": "100"}


@pytest.mark.parametrize(
    "path", ["/devices/apps/", "/devices/apps/new/", f"/devices/apps/{'0' * 16}/revoke/"]
)
def test_they_are_for_signed_in_people(client: Client, path: str) -> None:
    for response in (client.get(path), client.post(path)):
        assert response.status_code in (302, 405)
        assert response.status_code == 405 or response["Location"].startswith("/sign-in/")


def test_while_the_agent_is_away_nothing_is_lost(
    client: Client, enrolled: SignIn, agent_process: AgentProcess
) -> None:
    enrolled(client, "alice")
    agent_process.stop()
    try:
        listed = client.get("/devices/apps/")
        assert (listed.status_code, listed.context["known"]) == (503, False)
        assert "does not answer just now" in listed.content.decode()
        assert "No app may use your keys" not in listed.content.decode()
        asked = client.post("/devices/apps/new/", FORM)
        assert asked.status_code == 503
        assert 'value="Photo diary"' in asked.content.decode()
    finally:
        agent_process.start()
    made = client.post("/devices/apps/new/", FORM)
    assert len(made.context["token"]) == 43
    assert "no-store" in made["Cache-Control"]


def test_where_the_agent_serves_no_apps_none_is_allowed(
    client: Client,
    enrolled: SignIn,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = enrolled(client, "alice")
    monkeypatch.setenv("WAXWING_AGENT_PUBLIC_URL", "")
    with agent_process(tmp_path, free_port()) as other:
        settings.AGENT_URL = other.url
        kept_client.cache_clear()
        try:
            listed = client.get("/devices/apps/").content.decode()
            assert "Apps cannot be allowed here" in listed
            assert 'href="/devices/apps/new/"' not in listed
            assert client.post("/devices/apps/new/", FORM)["Location"] == "/devices/apps/"
            assert agent().list_grants(account.did).grants == []
        finally:
            kept_client.cache_clear()


def test_the_apps_of_others_are_not_there(
    client: Client, enrolled: SignIn, agent_process: AgentProcess
) -> None:
    bob = enrolled(Client(), "bob")
    enrolled(client, "alice")
    expires_at = timezone.now() + timedelta(days=1)
    bobs = agent().create_grant(bob.did, "Of bob", ["status"], expires_at=expires_at, hourly_limit=5).grant
    path = f"/devices/apps/{bobs.grant_id}/revoke/"
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404
    assert "Of bob" not in client.get("/devices/apps/").content.decode()
    (kept,) = [grant for grant in agent().list_grants(bob.did).grants if grant.grant_id == bobs.grant_id]
    assert kept.revoked_at is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "é" * 60},
        {"purposes": []},
        {"purposes": ["decrypt"]},
        {"purposes": ["open"]},
        {"days": "3650"},
        {"hourly_limit": "1000000"},
    ],
)
def test_what_is_not_offered_is_not_allowed(
    client: Client, enrolled: SignIn, agent_process: AgentProcess, change: dict[str, object]
) -> None:
    account = enrolled(client, "carol")
    before = agent().list_grants(account.did).grants
    response = client.post("/devices/apps/new/", {**FORM, **change})
    assert response.status_code == 200
    assert "token" not in response.context
    assert agent().list_grants(account.did).grants == before
