"""This process's connection to the crypto agent."""

from functools import cache

from django.conf import settings

from crypto_agent.client import AgentClient


@cache
def agent() -> AgentClient:
    """The client of this process, made on first use and kept; it is safe to share between threads."""
    return AgentClient(settings.AGENT_URL, settings.AGENT_TOKEN_SECRET, settings.AGENT_CALLER)
