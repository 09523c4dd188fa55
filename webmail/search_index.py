"""The agent's search index in step with the messages: what is new goes in, what was replaced comes out.

A message is noted as indexed only after the agent has it. So whatever was left out, because the agent was
away or the account locked, is taken up by the next round.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import IndexItem, SealedContent
from webmail.models import Conversation, Message

log = logging.getLogger(__name__)

#: One call to the agent.
BATCH = 100
#: So many calls before somebody else's work has its turn.
MOST_BATCHES = 20


def due() -> set[int]:
    """Keys of the accounts with messages that are not in the index."""
    return set(_waiting().values_list("account_id", flat=True).distinct().order_by())


def index_waiting(account: Account, *, now: datetime) -> bool:
    """Take in what is not in the index yet, oldest first, and say whether there is more. May run twice.

    Raises crypto_agent.client.AgentError; what was taken in so far is noted.
    """
    rows = _waiting().filter(account=account).select_related("conversation").order_by("placed_at", "pk")
    for _batch in range(MOST_BATCHES):
        messages = list(rows[:BATCH])
        if not messages:
            return False
        _index(account, messages, now)
    return rows.exists()


def begin_again(account: Account) -> None:
    """Has every message of the account taken in once more, into an index that is empty."""
    agent().empty_index(account.did)
    Message.objects.filter(account=account, forgotten_at=None).update(indexed_at=None)


def _waiting() -> QuerySet[Message]:
    """What is not in the index and may be found: nothing of requests, or of whom the account blocks."""
    return Message.objects.filter(
        indexed_at=None,
        forgotten_at=None,
        trust__in=Message.VOUCHED_FOR,
        aside=Message.Aside.NO,
        conversation__standing=Conversation.Standing.ACCEPTED,
        conversation__blocked=False,
    )


def _index(account: Account, messages: Sequence[Message], now: datetime) -> None:
    items = [
        IndexItem(
            SealedContent(message.conversation.conversation_id, message.message_id, bytes(message.sealed)),
            message.sender_did,
            message.placed_at,
        )
        for message in messages
    ]
    unreadable = agent().index_messages(account.did, items)
    if unreadable:
        log.warning("%d messages of account %s can't be read for the index", len(unreadable), account.pk)
    # What was let go of since these rows were read may have left the index before it came in.
    leaving = _replaced(account, messages) + _let_go_of(messages)
    if leaving:
        agent().forget_messages(account.did, leaving)
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(indexed_at=now)


def _let_go_of(messages: Sequence[Message]) -> list[str]:
    """Those of these messages that are not to be found any more, or not there."""
    rows = Message.objects.filter(pk__in=[message.pk for message in messages], forgotten_at=None)
    still_there = set(rows.values_list("pk", flat=True))
    return [message.message_id for message in messages if message.pk not in still_there]


def _replaced(account: Account, messages: Sequence[Message]) -> list[str]:
    """The messages in whose place these, or edits that came before, stand."""
    edits = {(message.replaces, message.sender_did) for message in messages if message.replaces}
    edits |= {
        (replaces, sender)
        for replaces, sender in Message.objects.filter(
            account=account,
            replaces__in=[message.message_id for message in messages],
            trust__in=Message.VOUCHED_FOR,
        ).values_list("replaces", "sender_did")
    }
    replaced: list[str] = []
    for original, sender in edits:
        versions = Message.objects.filter(account=account, sender_did=sender, trust__in=Message.VOUCHED_FOR)
        replaced += versions.filter(message_id=original).values_list("message_id", flat=True)
        of_edits = versions.filter(replaces=original).order_by("-created_at", "-pk")
        replaced += of_edits.values_list("message_id", flat=True)[1:]
    return replaced
