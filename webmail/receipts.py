"""What others' devices say of messages that were sent to them (protocol §5, kind 6)."""

from __future__ import annotations

from django.db.models import F

from crypto_agent.client import Receipt as ReceiptPart
from webmail import receipt_choices
from webmail.models import Message, Receipt

#: Ids of one receipt that are looked up.
MOST_IDS = 1000


def apply(row: Message, receipt: ReceiptPart) -> int:
    """Note what a stored receipt says, and return how many of the messages it names were found.

    It counts only when its signature was checked, and only for messages that the account sent in the same
    conversation, and so to whoever signed it. A state never goes back, so this may run twice and in any
    order. Where the account does not tell when it has read, "read" is noted as opened.
    """
    if row.direction != Message.Direction.IN or row.trust != Message.Trust.SIGNED:
        return 0
    sent = Message.objects.filter(
        conversation=row.conversation_id,
        message_id__in=receipt.ids[:MOST_IDS],
        direction=Message.Direction.OUT,
        shown=True,
        replaces="",
    )
    named = list(sent.values_list("pk", flat=True))
    if not named:
        return 0
    signer = {"recipient_did": row.sender_did, "fingerprint": row.sender_fingerprint}
    Receipt.objects.bulk_create(
        [Receipt(message_id=pk, opened_at=row.placed_at, **signer) for pk in named], ignore_conflicts=True
    )
    told = Receipt.objects.filter(message__in=named, **signer)
    told.filter(opened_at__gt=row.placed_at).update(opened_at=row.placed_at)
    if receipt.status == "read" and receipt_choices.tells(
        row.account, receipt_choices.READ, row.conversation
    ):
        told.filter(read_at=None).update(read_at=row.placed_at)
        told.filter(read_at__lt=F("opened_at")).update(read_at=F("opened_at"))
    return len(named)
