"""What an account chose to tell others of their messages.

"Opened" is told unless the account switched it off, or the operator did for those who did not choose.
"Read" is told only where it was switched on, for all conversations or for one; where it is off, nobody
else's is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.conf import settings

from accounts.models import Account
from webmail.message_state import State
from webmail.models import Acknowledgement, Conversation, Receipt, ReceiptChoice

DELIVERED, READ = Acknowledgement.Status.DELIVERED, Acknowledgement.Status.READ


def tells(account: Account, status: Acknowledgement.Status, conversation: Conversation | None = None) -> bool:
    """Whether this is told in a conversation, or by default."""
    name = conversation.conversation_id if conversation else ""
    return name in telling(account, status, [name])


def telling(account: Account, status: Acknowledgement.Status, names: Iterable[str]) -> set[str]:
    """In which of these conversations, by their ids (hex), this is told; "" stands for the default."""
    ids = set(names)
    # Of having opened there is one choice for all.
    own = ids if status == READ else set()
    rows = ReceiptChoice.objects.filter(account=account, status=status, conversation_id__in=own | {""})
    chosen = dict(rows.values_list("conversation_id", "tells"))
    default = chosen.get("", bool(settings.TELL_OPENED) and status == DELIVERED)
    return {name for name in ids if chosen.get(name, default)}


def choose(
    account: Account, status: Acknowledgement.Status, tells: bool, conversation: Conversation | None = None
) -> None:
    """Set what is told by default, or of having read in one conversation. What waited to be told is dropped
    with the choice; so are others' words of having read."""
    ReceiptChoice.objects.update_or_create(
        account=account,
        conversation_id=conversation.conversation_id if conversation else "",
        status=status,
        defaults={"tells": tells},
    )
    if tells:
        return
    waiting = Acknowledgement.objects.filter(message__account=account, status=status)
    read = Receipt.objects.filter(message__account=account, read_at__isnull=False)
    if conversation is not None:
        waiting, read = (
            waiting.filter(message__conversation=conversation),
            read.filter(message__conversation=conversation),
        )
    elif status == READ:
        still_told = ReceiptChoice.objects.filter(account=account, status=READ, tells=True).exclude(
            conversation_id=""
        )
        kept = list(still_told.values_list("conversation_id", flat=True))
        waiting = waiting.exclude(message__conversation__conversation_id__in=kept)
        read = read.exclude(message__conversation__conversation_id__in=kept)
    waiting.delete()
    if status == READ:
        read.update(read_at=None)


def settings_json(account: Account) -> list[State]:
    """The choices as an account's export carries them."""
    rows = ReceiptChoice.objects.filter(account=account).order_by("pk")
    return [{"conversation": row.conversation_id, "status": row.status, "tells": row.tells} for row in rows]


def take_settings(account: Account, choices: Sequence[State]) -> None:
    """Take the choices of an export over where nothing was chosen here; what cannot be one is left out."""
    for choice in choices:
        match choice:
            case {
                "conversation": str(conversation_id),
                "status": "delivered" | "read" as status,
                "tells": bool(tells),
            }:
                ReceiptChoice.objects.get_or_create(
                    account=account,
                    conversation_id=conversation_id[:66],
                    status=status,
                    defaults={"tells": tells},
                )
