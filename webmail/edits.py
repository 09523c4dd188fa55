"""Edits and deletions: which of the later messages stands in the place of which (protocol §5)."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

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


def versions_of(messages: Sequence[Message], most: int) -> dict[int, list[Message]]:
    """The versions of each message by its own sender, by the message's key: how it came, and its newest
    ``most`` edits or deletions, oldest first. One query.

    Those of somebody whom the account blocks count as well. ``edit_count`` of an edit says how many there
    are.
    """
    one_message = [F("conversation"), F("replaces"), F("sender_did")]
    rows = (
        Message.objects.exclude(replaces="")
        .filter(
            conversation__in={message.conversation_id for message in messages},
            replaces__in={message.message_id for message in messages},
            trust__in=Message.VOUCHED_FOR,
            forgotten_at=None,
        )
        .annotate(
            place=Window(
                RowNumber(), partition_by=one_message, order_by=[F("created_at").desc(), F("pk").desc()]
            ),
            edit_count=Window(Count("pk"), partition_by=one_message),
        )
        .filter(place__lte=most)
        .order_by("created_at", "pk")
    )
    found = {
        (message.conversation_id, message.message_id, message.sender_did): [message] for message in messages
    }
    for edit in rows:
        if versions := found.get((edit.conversation_id, edit.replaces, edit.sender_did)):
            versions.append(edit)
    return {versions[0].pk: versions for versions in found.values()}
