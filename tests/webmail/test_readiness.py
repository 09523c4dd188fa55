"""What the operator's monitor is told: every part, in words and for programs, with real parts behind it."""

from __future__ import annotations

import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from demo.ports import free_port
from tests.accounts.http_server import Server, reply
from tests.crypto_agent.running_agent import running_agent
from tests.services.agent import AgentProcess
from tests.services.compose import ROOT

pytestmark = pytest.mark.django_db


def asked() -> tuple[int, str, dict[str, str]]:
    """Status, the state of all, and the states of those parts that are not ready."""
    answer = Client().get("/readyz", headers={"Host": "127.0.0.1:8000"})
    assert answer.headers["Cache-Control"] == "no-store"
    said = answer.json()
    assert all(part["words"].endswith(".") for part in said["parts"])
    troubles = {part["name"]: part["state"] for part in said["parts"] if part["state"] != "ready"}
    return answer.status_code, said["state"], troubles


def test_everything_answers(agent_process: AgentProcess) -> None:
    assert asked() == (200, "ready", {})


def test_each_part_that_is_away_is_named(
    agent_process: AgentProcess, settings: Settings, tmp_path: Path
) -> None:
    settings.MAILBOX_URL = f"imap://127.0.0.1:{free_port()}"
    assert asked() == (503, "degraded", {"mailbox": "away"})
    (tmp_path / "file").write_text("")
    settings.MAILBOX_URL = f"maildir://{tmp_path}/file/mail"
    assert asked() == (503, "degraded", {"mailbox": "away"})
    settings.MAILBOX_URL = f"maildir://{tmp_path}/mail"
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    settings.AGENT_URL = f"http://127.0.0.1:{free_port()}"
    assert asked() == (503, "degraded", {"broker": "away", "agent": "away"})


def test_a_wrong_secret_of_the_agent_is_told(agent_process: AgentProcess, settings: Settings) -> None:
    settings.AGENT_TOKEN_SECRET = "not the agent's secret, but long enough"
    assert asked() == (503, "degraded", {"agent": "refuses"})


def test_a_sealed_agent_is_told_and_is_alive(settings: Settings, tmp_path: Path) -> None:
    with running_agent(tmp_path, unsealed=False) as sealed:
        settings.AGENT_URL, settings.AGENT_TOKEN_SECRET = sealed.url, sealed.token_secret
        assert asked() == (503, "degraded", {"agent": "sealed"})
        assert Client().get("/healthz").status_code == 200


def test_it_is_the_operators_alone() -> None:
    assert Client().get("/readyz", headers={"X-Forwarded-Proto": "https"}).status_code == 404
    assert Client().post("/readyz").status_code in (403, 404)


def watch(server: str, kept: Path) -> str:
    done = subprocess.run(
        [ROOT / "deploy" / "watch", server, kept], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_a_change_is_printed_once(agent_process: AgentProcess, settings: Settings, tmp_path: Path) -> None:
    """The script's words for what the view really answers."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, told.status_code, told.content)

    kept = tmp_path / "kept"
    told = Client().get("/readyz")
    with Server(answer) as web:
        assert watch(web.url, kept) == ""
        settings.AGENT_URL = f"http://127.0.0.1:{free_port()}"
        told = Client().get("/readyz")
        words = watch(web.url, kept)
        assert words.startswith("Waxwing is degraded.\n")
        assert "The crypto agent does not answer" in words
        assert watch(web.url, kept) == ""
    assert watch(web.url, kept).startswith("Waxwing is away.\nThe web process does not answer at ")
    settings.AGENT_URL = agent_process.url
    told = Client().get("/readyz")
    with Server(answer) as again:
        assert watch(again.url, kept).startswith("Waxwing is ready.\n")
        assert watch(again.url, kept) == ""
