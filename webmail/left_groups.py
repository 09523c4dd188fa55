"""Groups that an account left: the others may go on writing there, and nothing of it is shown or told.

Leaving is the account's own affair, since the protocol has no message for it: what comes is opened and
archived as ever, since its keys are destroyed within two weeks, and put away until the account comes back.
Whoever writes in a group has come back to it; what was scheduled before waits for that (webmail/pending.py).
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from webmail import disappearing, events, put_off, topics
from webmail.blocked import blocked_since
from webmail.models import Conversation, Message
from webmail.recounting import recount


def leave(account: Account, conversation: Conversation, *, now: datetime) -> None:
    """Leaves a group, which goes to the archived ones. Nobody is told. Doing it twice is doing it once."""
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=conversation.pk, account=account)
        row.left_at = row.left_at or now
        row.archived_at = row.archived_at or now
        row.settings_changed_at = now
        row.save(update_fields=["left_at", "archived_at", "settings_changed_at"])
    events.publish(account.pk, "conversations", "settings")


def come_back(account: Account, conversation: Conversation, *, now: datetime) -> None:
    """Shows a group again, and what was written there meanwhile. Nothing happens in one that was not left."""
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=conversation.pk, account=account)
        if row.left_at is None:
            return
        row.left_at = row.archived_at = conversation.left_at = conversation.archived_at = None
        row.settings_changed_at = now
        row.save(update_fields=["left_at", "archived_at", "settings_changed_at"])
        _show(account, row)
        recount(account, [row.pk])
        transaction.on_commit(partial(events.publish, account.pk, "conversations", "settings"))
        transaction.on_commit(lambda: put_off.let_go(account, [row.pk], now=timezone.now()))


def wrote(account: Account, message: Message) -> None:
    """The account wrote this message, which is stored: if that was after it left, it has come back.

    What it is not known to have signed says nothing until it is.

    Call within a transaction.
    """
    left_at = message.conversation.left_at
    known = message.trust in Message.VOUCHED_FOR
    if left_at is not None and known and message.shown and message.created_at > left_at:
        come_back(account, message.conversation, now=message.created_at)


def bring_in_line(account: Account, conversation: Conversation) -> None:
    """Puts away what others wrote in a group after the account left it; shows it where it did not leave."""
    if conversation.left_at is None:
        _show(account, conversation)
    else:
        rows = conversation.messages.filter(
            direction=Message.Direction.IN, aside=Message.Aside.NO, placed_at__gte=conversation.left_at
        )
        rows.filter(shown=False).exclude(changes_group="").update(aside=Message.Aside.QUIET)
        rows.filter(shown=True).update(shown=False, unread=False, aside=Message.Aside.LEFT)
    recount(account, [conversation.pk])


def _show(account: Account, conversation: Conversation) -> None:
    """What is put away, but for what is of somebody whom the account blocked since."""
    since = blocked_since(account)
    put_away = conversation.messages.filter(aside=Message.Aside.LEFT)
    for did in since.keys() & set(conversation.participants):
        of_them = put_away.filter(sender_did=did)
        of_them.filter(placed_at__gte=since[did]).update(aside=Message.Aside.BLOCKED)
        of_them.update(aside=Message.Aside.BEFORE)
    shown = list(put_away.values_list("pk", flat=True))
    # It comes back as read, and now: whoever came back on another device may have done so long ago.
    disappearing.begin(put_away.filter(forgotten_at=None), timezone.now())
    put_away.filter(forgotten_at=None).update(shown=True, aside=Message.Aside.NO)
    put_away.update(aside=Message.Aside.NO)
    quiet = conversation.messages.filter(aside=Message.Aside.QUIET).exclude(sender_did__in=since)
    quiet.update(aside=Message.Aside.NO)
    topics.bring_in_line(Message.objects.filter(pk__in=shown))
