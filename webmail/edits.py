"""Edits and deletions: which of the later messages stands in the place of which (protocol §5)."""

from __future__ import annotations

from collections.abc import Sequence

from webmail.models import Message


def newest_edits(messages: Sequence[Message]) -> dict[int, Message]:
    """The newest edit or deletion of each message by its own sender, by the message's key. One query.

    One whose signer was not checked, or whom the account blocks, counts for nothing.
    """
    originals = {
        (message.conversation_id, message.message_id, message.sender_did): message.pk for message in messages
    }
    # That nothing is said with no id lets SQLite take the index of versions, instead of whole conversations.
    rows = (
        Message.objects.exclude(replaces="")
        .filter(
            conversation__in={message.conversation_id for message in messages},
            replaces__in=[message.message_id for message in messages],
            trust__in=Message.VOUCHED_FOR,
            aside=Message.Aside.NO,
        )
        .order_by()
    )
    found = {}
    for edit in sorted(rows, key=lambda row: (row.created_at, row.pk)):
        original = originals.get((edit.conversation_id, edit.replaces, edit.sender_did))
        if original is not None:
            found[original] = edit
    return found
