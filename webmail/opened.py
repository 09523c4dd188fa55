"""The plaintext of messages for a page, from the agent."""

from __future__ import annotations

from collections.abc import Iterable

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import (
    AgentError,
    AgentLimited,
    AgentLocked,
    AgentSealed,
    AgentUnavailable,
    ReadMessage,
    SealedContent,
)
from webmail.models import Conversation, Message


def read_messages(
    account: Account, conversation: Conversation, messages: Iterable[Message]
) -> dict[int, ReadMessage]:
    """The plaintext of messages of one conversation, as in ``read_placed``."""
    return read_placed(account, ((conversation.conversation_id, message) for message in messages))


def read_placed(account: Account, placed: Iterable[tuple[str, Message]]) -> dict[int, ReadMessage]:
    """The plaintext of what may be shown, by key, in one call; nothing when the agent does not answer.

    Each message comes with the id of its conversation.
    Raises crypto_agent.client.AgentLocked if it was not known before that the keys are locked.
    """
    if account.locked_here:
        return {}
    readable = [(place, message) for place, message in placed if message.trust in Message.VOUCHED_FOR]
    items = [SealedContent(place, message.message_id, bytes(message.sealed)) for place, message in readable]
    try:
        answers = agent().read(account.did, items) if items else []
    except (AgentLimited, AgentSealed) as error:
        note_silence(account, error)
        answers = [ReadMessage(item.message_id, error=error.code) for item in items]
    except AgentLocked:
        raise
    except AgentError as error:
        note_silence(account, error)
        return {}
    return {message.pk: answer for (_place, message), answer in zip(readable, answers, strict=True)}


def note_silence(account: Account, error: AgentError) -> None:
    """Keeps for the page that is being made why the agent opened nothing for it."""
    if isinstance(error, AgentSealed):
        account.agent_silence = "sealed"
    elif isinstance(error, AgentUnavailable) and not isinstance(error, AgentLimited):
        account.agent_silence = "away"
