"""Messages that somebody did not get, until their sender has seen that: marked, and counted by conversation,
so that the list says so whichever message it is.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Account
from webmail import events
from webmail.conversations import in_list
from webmail.models import Conversation, Delivery, Message
from webmail.push import notices


def note(message: Message, *, failed_at: datetime) -> None:
    """Mark a message if a delivery of it to somebody else failed at this moment, and wake browsers.

    Of an edit, or of a taking back, what it replaces is marked; other messages without a bubble are not. May
    run twice; tells no open pages.
    """
    failed = message.deliveries.filter(state=Delivery.State.FAILED, finished_at=failed_at)
    failed = failed.exclude(recipient_did=message.sender_did)
    if not failed.exclude(recipient_did__in=message.receipts.values("recipient_did")).exists():
        return
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=message.conversation_id)
        rows = _shown(message).filter(undelivered=False, forgotten_at=None)
        if not rows.update(undelivered=True):
            return
        _count(message.conversation_id)
    if notices.any_browser(message.account_id):
        notices.something_came(message.account_id)


def looked_at(conversation: Conversation, shown: Collection[str] | None = None) -> bool:
    """Somebody has seen what became of these messages, by their ids or the beginnings of these, as pages name
    them; or of all. Tells other open pages. True if anything changed."""
    if not conversation.undelivered:
        return False
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        marked = Message.objects.filter(conversation=conversation, undelivered=True)
        found = marked.values_list("pk", "message_id")
        seen = [pk for pk, message_id in found if shown is None or message_id.startswith(tuple(shown))]
        Message.objects.filter(pk__in=seen).update(undelivered=False)
        _count(conversation.pk)
    if seen:
        events.publish(conversation.account_id, "conversations")
    return bool(seen)


def newest(account: Account) -> Message | None:
    """The newest of the account's messages that are marked, in a conversation that the list has."""
    rows = Message.objects.filter(
        conversation__in=in_list(account).filter(undelivered__gt=0), undelivered=True, forgotten_at=None
    )
    return rows.select_related("conversation").order_by("-placed_at", "-pk").first()


def _shown(message: Message) -> QuerySet[Message]:
    """The message whose bubble, or line, says what became of this one."""
    rows = Message.objects.filter(conversation=message.conversation_id)
    if message.replaces:
        return rows.filter(message_id=message.replaces, sender_did=message.sender_did, shown=True)
    return rows.filter(pk=message.pk) if message.shown or message.changes_group else rows.none()


def _count(conversation_pk: int) -> None:
    marked = Message.objects.filter(conversation=conversation_pk, undelivered=True, forgotten_at=None)
    Conversation.objects.filter(pk=conversation_pk).update(undelivered=marked.count())
