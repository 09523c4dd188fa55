"""People for tests of custody: each has an account that no other test touches."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from crypto_agent.client import AgentError, Locked, Passphrase
from tests.crypto_agent.running_agent import Agent

PASSPHRASE = Passphrase("correct horse battery")
WRONG = Passphrase("not what it is at all")


def new_person(agent: Agent) -> str:
    """The DID of a new person with a device."""
    did = f"did:plc:{base64.b32encode(os.urandom(15)).decode().lower()}"
    agent.client().create_device(did, "alice.test", "mail.test")
    return did


def locked_person(agent: Agent, *, lifetime_s: int = 3600) -> tuple[str, Locked]:
    """A person who locked their account with PASSPHRASE and has it unlocked once."""
    did = new_person(agent)
    return did, agent.client().make_locked(did, PASSPHRASE, lifetime_s=lifetime_s)


@contextmanager
def refused(code: str) -> Iterator[None]:
    """Within it, the agent has to refuse a call with this error."""
    with pytest.raises(AgentError) as raised:
        yield
    assert raised.value.code == code
