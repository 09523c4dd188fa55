"""Messages that were put off, since their writer had blocked whom they go to or had left the group: they go
out once that is over (see webmail/pending.py)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from accounts.models import Account
from webmail import events, queues
from webmail.models import PendingMessage


def let_go(account: Account, conversations: Collection[int], *, now: datetime) -> None:
    """Lets go out now, in the conversations with these keys, what had its time before.

    Call outside of transactions: whoever sends has a message's row locked first, and its conversation then.
    """
    rows = PendingMessage.objects.filter(
        account=account,
        conversation__in=conversations,
        conversation__blocked=False,
        kind=PendingMessage.Kind.SCHEDULED,
        goes_with=None,
        content_created_at__lte=now,
        release_at__gt=now,
    )
    of_each = dict(rows.values_list("pk", "conversation__conversation_id"))
    if not of_each:
        return
    PendingMessage.objects.filter(pk__in=of_each, release_at__gt=now).update(release_at=now)
    for pk in of_each:
        queues.give(queues.RELEASE, pk)
    for conversation_id in set(of_each.values()):
        events.conversation_changed(account.pk, conversation_id)
