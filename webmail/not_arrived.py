"""What is done with messages that did not arrive: they are tried again, or thrown away."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from webmail import events, forgetting, outgoing, queues, undelivered
from webmail.edits import newest_edits
from webmail.models import Blob, Conversation, Delivery, Message
from webmail.outgoing import CannotSend
from webmail.withdrawing import withdraw


def retry(account: Account, message_id: str, *, now: datetime | None = None) -> Message:
    """Try the failed deliveries of a message and of its newest version again, from resolving the recipient's
    devices onwards; of one that was taken back, of that alone.

    Raises Message.DoesNotExist, also for one that was let go of, CannotSend if a file of it is gone or its
    conversation is blocked. Deliveries that did not fail are left alone.
    """
    now = now or timezone.now()
    with transaction.atomic():
        rows = Message.objects.select_related("conversation").select_for_update(of=("self",))
        message = rows.get(account=account, message_id=message_id, forgotten_at=None)
        if message.conversation.blocked:
            raise outgoing.to_blocked()
        if Blob.objects.filter(account=account, message_id=message_id, removed_at__isnull=False).exists():
            raise CannotSend(
                "file-gone", _("A file of this message is gone. Send it again in a new message.")
            )
        for version in _that_count(message):
            if version.deliveries.filter(state=Delivery.State.FAILED).begin_again(now):
                transaction.on_commit(partial(queues.give, queues.SEAL, version.pk))
                transaction.on_commit(partial(_tell, message))
    # Whoever has it tried again has seen that it failed.
    undelivered.looked_at(message.conversation, {message_id})
    return message


def _that_count(message: Message) -> list[Message]:
    newest = newest_edits([message]).get(message.pk)
    if newest is None:
        return [message]
    return [newest] if newest.takes_back else [message, newest]


def discard(account: Account, message_id: str, *, now: datetime) -> Conversation:
    """Throw away a message that no server has, with its files, and stop what is on its way. Can run twice.

    Raises Message.DoesNotExist, CannotSend if somebody's server has it, or may have it.
    """
    with transaction.atomic():
        message = Message.objects.select_related("conversation").get(account=account, message_id=message_id)
        if withdraw(message, now=now):
            raise CannotSend("on-its-way", _("It is on its way to somebody. Nothing was discarded."))
        forgetting.forget(account, message_id, now=now)
    return message.conversation


def _tell(message: Message) -> None:
    events.conversation_changed(message.account_id, message.conversation.conversation_id, message.message_id)
