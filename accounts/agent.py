"""This process's connection to the crypto agent."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from django.conf import settings

from crypto_agent.client import AgentClient

#: The unlock token of the browser whose request is being answered; None in workers.
_unlock_token: ContextVar[str | None] = ContextVar("unlock_token", default=None)


def agent() -> AgentClient:
    """The client of this process, safe to share between threads.

    While a request of a browser is answered that has unlocked its account's keys, the calls say so.
    """
    token = _unlock_token.get()
    return kept_client().unlocked(token) if token else kept_client()


@contextmanager
def unlocked_by(token: str | None) -> Iterator[None]:
    """Calls of ``agent()`` in this context carry the unlock token, or none."""
    before = _unlock_token.set(token)
    try:
        yield
    finally:
        _unlock_token.reset(before)


@cache
def kept_client() -> AgentClient:
    """Made on first use and kept."""
    return AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, settings.AGENT_CALLER)
