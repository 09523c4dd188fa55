"""What messages that wait pass on, and whether its writers took that back meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentLocked, ReadMessage, SealedContent
from webmail.edits import newest_edits
from webmail.models import Message, PendingMessage
from webmail.opened import read_placed

#: Why the agent opens nothing for a while.
_PASSING = ("AgentSealed", "LimitReached")


def taken_back(rows: Sequence[PendingMessage]) -> Mapping[str, bool | None]:
    """By the ids of those messages that these rows of one account pass on and that were changed since they
    came, whether they were taken back; None where that can't be told just now."""
    forwarded = {row.forwards for row in rows} - {""}
    if not forwarded:
        return {}
    account = rows[0].account
    originals = Message.objects.filter(account=account, message_id__in=forwarded).select_related(
        "conversation"
    )
    changed = newest_edits(found := list(originals))
    versions = [
        (each.message_id, each.conversation.conversation_id, changed[each.pk])
        for each in found
        if each.pk in changed
    ]
    told = {message_id: True for message_id, _place, version in versions if version.takes_back}
    asked = [each for each in versions if not each[2].takes_back]
    try:
        # Of others the content alone says it, until it is erased.
        read = read_placed(account, [(place, version) for _id, place, version in asked])
    except AgentLocked:
        read = {}
    return told | {message_id: _is_taken_back(read.get(version.pk)) for message_id, _place, version in asked}


def note_before_erasing(account: Account, messages: Sequence[Message]) -> None:
    """Writes down which of these messages, with their conversations, take back what waits to be passed on:
    nothing else says it once they are erased. Can run twice. Raises crypto_agent.client.AgentError."""
    waiting = PendingMessage.objects.filter(account=account).exclude(forwards="")
    forwarded = set(waiting.values_list("forwards", flat=True))
    versions = [each for each in messages if each.replaces in forwarded and not each.takes_back]
    if not versions:
        return
    items = [
        SealedContent(each.conversation.conversation_id, each.message_id, bytes(each.sealed))
        for each in versions
    ]
    answers = agent().read(account.did, items)
    taking_back = [each.pk for each, read in zip(versions, answers, strict=True) if read.tombstone]
    Message.objects.filter(pk__in=taking_back).update(takes_back=True)


def _is_taken_back(read: ReadMessage | None) -> bool | None:
    return None if read is None or read.error in _PASSING else read.tombstone
