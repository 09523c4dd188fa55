"""Somebody who leaves an agent: a DID for each test, the passphrase, and what the agents answer."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from crypto_agent.client import AgentClient, AgentRefused, ArchiveItem, OpenedMessage
from tests.crypto_agent.people import WRITTEN_AT

PASSPHRASE = "correct horse battery"
_NAMES = iter("abcdefghijklmnopqrstuvwxy234567")


def new_did() -> str:
    """Somebody new for each test."""
    return f"did:plc:{next(_NAMES) * 24}"


def archived(worker: AgentClient, did: str, message: OpenedMessage) -> bytes:
    """The message as it lies in the archive."""
    item = ArchiveItem(
        message.conversation_id, message.message_id, message.sealed, WRITTEN_AT, WRITTEN_AT, "in"
    )
    return worker.archive(did, [item])[0]


@contextmanager
def refused(code: str) -> Iterator[None]:
    """Fails unless the agent refuses what is done meanwhile, with this code."""
    with pytest.raises(AgentRefused) as raised:
        yield
    assert raised.value.code == code
