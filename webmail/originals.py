"""What messages that wait pass on, and whether its writers took that back meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crypto_agent.client import AgentLocked, ReadMessage
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
    try:
        # Of others the content alone says it.
        read = read_placed(account, [(place, version) for _id, place, version in versions])
    except AgentLocked:
        read = {}
    return {message_id: _is_taken_back(read.get(version.pk)) for message_id, _place, version in versions}


def _is_taken_back(read: ReadMessage | None) -> bool | None:
    return None if read is None or read.error in _PASSING else read.tombstone
