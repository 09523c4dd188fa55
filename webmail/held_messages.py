"""Messages that wait until their sender has looked at somebody's keys. The database alone has them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Account
from webmail import events, queues, undelivered
from webmail.delivery_codes import GIVEN_UP, KEYS_CHANGED, WITH_OTHERS
from webmail.models import Delivery, Message

#: How long it waits.
KEPT = timedelta(days=30)


def hold(message: Message, changed: Collection[str]) -> None:
    """Everything of a message of which nothing is sealed waits, since one text must not go half.

    ``changed`` are the DIDs of those whose keys its sender has to look at.
    """
    hold_some(message, changed)
    _hold(message.deliveries.filter(state=Delivery.State.QUEUED), WITH_OTHERS)


def hold_some(message: Message, changed: Collection[str]) -> None:
    """What of a message is for these people, and not sealed, waits."""
    unsealed = message.deliveries.filter(state__in=[Delivery.State.QUEUED, Delivery.State.HELD])
    _hold(unsealed.filter(recipient_did__in=changed), KEYS_CHANGED)


def _hold(rows: QuerySet[Delivery], reason: str) -> None:
    rows.update(
        state=Delivery.State.HELD, failure_code=reason, failure_reply="", next_attempt_at=None, attempts=0
    )


def is_held(message: Message) -> bool:
    """Whether something of the message waits for its sender."""
    return message.deliveries.filter(state=Delivery.State.HELD).exists()


def release(account: Account, did: str, *, now: datetime | None = None) -> None:
    """What waited for this person goes on, to be looked at once more when it is sealed; nothing of what the
    account let go of, but that it was taken back. In a transaction."""
    rows = Delivery.objects.filter(
        message__account=account, recipient_did=did, state=Delivery.State.HELD, failure_code=KEYS_CHANGED
    ).exclude(message__forgotten_at__isnull=False, message__takes_back=False)
    for message in Message.objects.filter(pk__in=rows.values("message_id")).select_related("conversation"):
        _release(message, now or timezone.now())


def give_up(now: datetime, *, limit: int = 500) -> int:
    """What its sender has not looked at in all the time fails, to be retried or thrown away as anything else
    that did; how many messages. Can run twice, and beside itself."""
    over = Delivery.objects.filter(state=Delivery.State.HELD, created_at__lte=now - KEPT)
    messages = Message.objects.filter(pk__in=over.values("message_id")[:limit])
    found = list(messages.select_related("conversation"))
    for message in found:
        with transaction.atomic():
            held = message.deliveries.filter(state=Delivery.State.HELD)
            for reason, code in GIVEN_UP.items():
                held.filter(failure_code=reason).update(
                    state=Delivery.State.FAILED, failure_code=code, finished_at=now
                )
            _tell(message)
        undelivered.note(message, failed_at=now)
    return len(found)


def _release(message: Message, now: datetime) -> None:
    message.deliveries.filter(state=Delivery.State.HELD).update(
        state=Delivery.State.QUEUED, failure_code="", next_attempt_at=now, created_at=now
    )
    transaction.on_commit(partial(queues.give, queues.SEAL, message.pk))
    _tell(message)


def _tell(message: Message) -> None:
    transaction.on_commit(
        partial(
            events.conversation_changed,
            message.account_id,
            message.conversation.conversation_id,
            message.message_id,
        )
    )
