"""Stopping what is on its way of one's own message, so that nobody gets it who does not have it yet."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from webmail.models import Delivery, DeliveryCopy, Message, Receipt

#: A server has it, or had it: nothing is left to be stopped.
_TAKEN = (Delivery.State.HANDED_OVER, Delivery.State.ACCEPTED)


def withdraw(message: Message, *, now: datetime) -> set[str]:
    """Stop all of a message and its edits that no server has yet, for good. In a transaction; can run twice.

    Returns the DIDs of those who have something of it, or may: a try under way, or one that was broken off,
    cannot be called back. The account's own is among them where its other devices are. Whether a delivery was
    claimed before or after this is decided by who has its row.
    """
    versions = Message.objects.filter(
        Q(pk=message.pk) | Q(replaces=message.message_id, sender_did=message.sender_did, takes_back=False),
        conversation=message.conversation_id,
    )
    rows = list(
        Delivery.objects.select_for_update()
        .filter(message__in=list(versions.values_list("pk", flat=True)))
        .order_by("pk")
    )
    accepted = DeliveryCopy.objects.filter(delivery__in=rows, accepted_at__isnull=False)
    with_copies = set(accepted.values_list("delivery_id", flat=True))
    have = {row.recipient_did for row in rows if is_perhaps_there(row) or row.pk in with_copies}
    have |= set(Receipt.objects.filter(message__in=versions).values_list("recipient_did", flat=True))
    if message.state != Message.State.COMPOSED:
        have |= _of_whom_nothing_is_known(message, rows)
    stopped = [row.pk for row in rows if row.state not in _TAKEN]
    Delivery.objects.filter(pk__in=stopped).update(
        state=Delivery.State.WITHDRAWN,
        next_attempt_at=None,
        finished_at=now,
        failure_code="",
        failure_reply="",
    )
    DeliveryCopy.objects.filter(delivery__in=stopped, accepted_at=None).delete()
    return have


def is_perhaps_there(delivery: Delivery) -> bool:
    """Whether a server has what was to be delivered, or may have it. Copies that one accepted, of several,
    are not looked at."""
    return (
        delivery.state in _TAKEN
        or delivery.open_tries > 0
        # It was there before another copy was asked for.
        or delivery.asked_again_at is not None
    )


def _of_whom_nothing_is_known(message: Message, rows: list[Delivery]) -> set[str]:
    """Those who may have a message whose deliveries went with an index that was lost."""
    of_message = {row.recipient_did for row in rows if row.message_id == message.pk}
    if not of_message:
        return set(message.conversation.participants)
    return set(message.conversation.participants) - of_message - {message.sender_did}
