"""Whether everything that this process needs answers, in words and for programs: for the operator's monitor.

Beside health.py, which says whether the process itself can work. Starting it again mends nothing of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from crypto_agent.client import AgentClient, AgentError, AgentUnavailable
from webmail.health import without_answer
from webmail.mailbox import MailboxError, check_mailboxes

#: For how long the agent may think about it.
AGENT_SECONDS = 5.0

State = Literal["ready", "away", "sealed", "refuses", "alarm"]


@dataclass(frozen=True)
class Part:
    """One of the parts, how it is, and what that means, in a sentence."""

    name: str
    state: State
    words: str


def parts(database: BaseDatabaseWrapper) -> list[Part]:
    """Every part with its state; names nobody and nothing of anybody's."""
    missing = without_answer(database, settings.CELERY_BROKER_URL)
    return [
        _part("database", "away" if "database" in missing else "ready", "The database does not answer."),
        _part("broker", "away" if "broker" in missing else "ready", "Redis does not answer: work waits."),
        _mailbox(),
        *_agent(),
    ]


def as_json(found: Iterable[Part]) -> dict[str, object]:
    """``{"state": "ready" or "degraded", "parts": [{"name", "state", "words"}]}``."""
    listed = list(found)
    ready = all(part.state == "ready" for part in listed)
    return {"state": "ready" if ready else "degraded", "parts": [asdict(part) for part in listed]}


def _part(name: str, state: State, trouble: str) -> Part:
    return Part(name, state, "It answers." if state == "ready" else trouble)


def _mailbox() -> Part:
    try:
        check_mailboxes()
    except MailboxError:
        return _part("mailbox", "away", "The mail server does not answer: mail is asked to come back.")
    return _part("mailbox", "ready", "")


def _agent() -> list[Part]:
    client = AgentClient(
        settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, settings.AGENT_CALLER, timeout_s=AGENT_SECONDS
    )
    try:
        status = client.status()
    except AgentUnavailable:
        return [_part("agent", "away", "The crypto agent does not answer: nothing is opened or sealed.")]
    except AgentError:
        return [_part("agent", "refuses", "The crypto agent refuses this process: their secrets differ.")]
    agent = _part(
        "agent",
        "sealed" if status.state == "sealed" else "ready",
        "The crypto agent is sealed: it waits for the operator's key, and mail waits with it.",
    )
    alarms = Part(
        "alarms",
        "alarm" if status.alarms else "ready",
        f"Alarms on bulk opening within a day: {status.alarms}. See Key agent in the admin.",
    )
    return [agent, alarms]
