"""Receipts, take-backs and requests for another copy, whose signature could be checked only after they were
stored."""

from __future__ import annotations

import random
from datetime import datetime

from accounts.agent import agent
from crypto_agent.client import ReadMessage, SealedContent
from webmail import acknowledging, another_copy, drafts, receipts
from webmail.models import Message


def read_late(message: Message) -> ReadMessage:
    """What a message says whose signature now holds. Raises crypto_agent.client.AgentError."""
    content = SealedContent(message.conversation.conversation_id, message.message_id, bytes(message.sealed))
    (read,) = agent().read(message.account.did, [content])
    return read


def after_check(message: Message, read: ReadMessage, *, now: datetime) -> None:
    """Do for a message whose signature now holds what opening does for one that holds at once.

    Call within the transaction that stores the verdict. Raises crypto_agent.client.AgentError.
    """
    if read.receipt is not None:
        receipts.apply([receipts.Said(message, read.receipt)])
    if read.tombstone:
        drafts.drop_of_taken_back(message.account, [message])
    if read.copies_wanted:
        another_copy.give(message, read.copies_wanted, now=now)
    if message.shown and not read.error and read.degraded != "fallback":
        acknowledging.note_opened([message], now=now, chance=random.random())  # noqa: S311 (no secret)
