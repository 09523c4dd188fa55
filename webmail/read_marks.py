"""What was read. Read marks are in the database alone; the account's export carries them."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Account
from webmail import acknowledging, disappearing, events, mentions
from webmail.models import Conversation, Message
from webmail.news import PREFIX


def mark_read(
    account: Account,
    conversation: Conversation,
    *,
    shown: Collection[str] | None = None,
    now: datetime | None = None,
) -> bool:
    """What a page has shown of the conversation has been seen, by the beginnings of its ids as pages name
    them (webmail.news.PREFIX); or everything in it. Tells other open pages, and its senders where the account
    chose that. ``conversation`` says how many unread messages mention the account then. True if anything
    changed.

    What would disappear stays unread until its signature is checked: nothing of it was to be seen."""
    now = now or timezone.now()
    unread = Message.objects.filter(conversation=conversation, unread=True)
    unread = unread.exclude(trust=Message.Trust.UNCHECKED, expires_after__gt=0)
    if shown is not None:
        ids = unread.values_list("pk", "message_id")
        unread = unread.filter(pk__in=[pk for pk, message_id in ids if message_id[:PREFIX] in shown])
    if not unread.exists():
        return False
    with transaction.atomic():
        # What is being placed waits, and counts afterwards.
        row = Conversation.objects.select_for_update().get(pk=conversation.pk)
        disappearing.begin(unread, now)
        seen = list(unread.select_related("account", "conversation"))
        changed = unread.update(unread=False)
        left = Message.objects.filter(conversation=conversation, unread=True).count()
        Conversation.objects.filter(pk=conversation.pk).update(unread_count=left)
        if row.unread_mentions:
            conversation.unread_mentions = mentions.recount(row)
        acknowledging.note_read(seen, now=now, chance=random.random())  # noqa: S311
    if changed:
        events.publish(account.pk, "conversations")
    return bool(changed)


def mark_unread(account: Account, conversation: Conversation) -> bool:
    """The last received message of the conversation is unread again; tells other open pages. True if anything
    changed."""
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=conversation.pk)
        received = conversation.messages.filter(direction=Message.Direction.IN, shown=True, replaces="")
        last = received.order_by("-placed_at", "-pk").first()
        if last is None or last.unread:
            return False
        Message.objects.filter(pk=last.pk).update(unread=True)
        Conversation.objects.filter(pk=conversation.pk).update(unread_count=F("unread_count") + 1)
        mentions.recount(row)
    events.publish(account.pk, "conversations")
    return True
