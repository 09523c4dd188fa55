"""What conversations' rows say of their messages, brought in line with them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from accounts.models import Account
from webmail import groups, mentions
from webmail.blocked import blocked_since, leaves_list
from webmail.models import Conversation


def recount(account: Account, conversations: Iterable[int] | None = None) -> None:
    """Bring all that follows from their messages and from blocks in line in the account's conversations, or
    in those with these keys."""
    rows = Conversation.objects.filter(account=account)
    if conversations is not None:
        rows = rows.filter(pk__in=list(conversations))
    since = blocked_since(account)
    for pk in rows.values_list("pk", flat=True):
        with transaction.atomic():
            conversation = Conversation.objects.select_for_update().get(pk=pk)
            first = conversation.messages.order_by("placed_at", "pk").first()
            last = conversation.messages.filter(shown=True).order_by("-placed_at", "-pk").first()
            conversation.last_message = last
            conversation.last_activity = last.placed_at if last else conversation.last_activity
            conversation.unread_count = conversation.messages.filter(unread=True).count()
            conversation.unread_mentions = mentions.unread_in([conversation])[conversation.pk]
            marked = conversation.messages.filter(undelivered=True, forgotten_at=None)
            conversation.undelivered = marked.count()
            conversation.started_by = first.sender_did if first else conversation.started_by
            conversation.blocked = leaves_list(
                since, account.did, conversation.started_by, conversation.participants
            )
            conversation.save(
                update_fields=[
                    *("last_message", "last_activity", "unread_count", "unread_mentions"),
                    *("undelivered", "started_by", "blocked"),
                ]
            )
            groups.bring_in_line(conversation)
