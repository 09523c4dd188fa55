"""Edits and deletions: which of the later messages stands in the place of which (protocol §5)."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.prepared_rows import PreparedRows
from webmail.models import Message

# That nothing is said with no id lets SQLite take the index of versions, instead of whole conversations.
_EDITS = PreparedRows(
    lambda conversations, replaced: (
        Message.objects.exclude(replaces="")
        .filter(
            conversation__in=conversations,
            replaces__in=replaced,
            trust__in=Message.VOUCHED_FOR,
            aside=Message.Aside.NO,
        )
        .order_by()
    )
)


def newest_edits(messages: Sequence[Message]) -> dict[int, Message]:
    """The newest edit or deletion of each message by its own sender, by the message's key. One query.

    One whose signer was not checked, or whom the account blocks, counts for nothing.
    """
    originals = {
        (message.conversation_id, message.message_id, message.sender_did): message.pk for message in messages
    }
    rows = _EDITS.rows(
        list({message.conversation_id for message in messages}),
        list({message.message_id for message in messages}),
    )
    found = {}
    for edit in sorted(rows, key=lambda row: (row.created_at, row.pk)):
        original = originals.get((edit.conversation_id, edit.replaces, edit.sender_did))
        if original is not None:
            found[original] = edit
    return found
