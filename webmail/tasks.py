"""What the workers do. Each task reads its arguments, calls one domain function, and may run twice.

The database is the queue: a task that is lost with its broker or its worker is found again by
`reconcile`, which the scheduler starts every few seconds.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Reject
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.models import Account
from crypto_agent.client import AgentError
from webmail import archive, deliveries, intake, pull_lock, sealing, trust
from webmail.mailbox import MailboxError
from webmail.models import Arrival, Delivery, Message

log = logging.getLogger(__name__)


def enqueue(task: Task[Any, Any], key: int) -> None:
    """Give a task to the workers; a broker that cannot be reached is left to `reconcile`."""
    try:
        task.apply_async((key,), retry=False)
    except OperationalError as error:
        log.warning("%s waits for the next round: %s", task.name, type(error).__name__)


@shared_task
def pull(account_pk: int) -> None:
    """Take in what is new in one account's mailbox."""
    account = Account.objects.get(pk=account_pk)
    with pull_lock.holding(account_pk) as rounds:
        for _round in rounds:
            try:
                intake.pull(account)
            except (MailboxError, AgentError) as error:
                log.warning("pull of account %s stopped: %s", account_pk, error.code)
                return
    if pull_lock.asked_again(account_pk):
        enqueue(pull, account_pk)


@shared_task
def seal(message_pk: int) -> None:
    """Seal one message and start its deliveries."""
    try:
        ready = sealing.seal_message(message_pk)
    except Message.DoesNotExist:
        raise Reject("the message is gone", requeue=False) from None
    except (MailboxError, AgentError) as error:
        log.warning("sealing of message %s waits: %s", message_pk, error.code)
        return
    for delivery_pk in ready:
        enqueue(deliver, delivery_pk)


@shared_task
def deliver(delivery_pk: int) -> None:
    """Carry one delivery."""
    deliveries.deliver(delivery_pk)
    if Delivery.objects.filter(pk=delivery_pk, state=Delivery.State.QUEUED).exists():
        enqueue(seal, Delivery.objects.values_list("message_id", flat=True).get(pk=delivery_pk))


@shared_task
def recheck(message_pk: int) -> None:
    """Check once more who signed a message."""
    try:
        trust.recheck(Message.objects.select_related("account", "conversation").get(pk=message_pk))
    except (MailboxError, AgentError) as error:
        log.warning("check of message %s waits: %s", message_pk, error.code)


@shared_task
def archive_waiting(account_pk: int) -> None:
    """Archive what was left out."""
    try:
        archive.archive_waiting(Account.objects.get(pk=account_pk), now=timezone.now())
    except (MailboxError, AgentError) as error:
        log.warning("the archive of account %s waits: %s", account_pk, error.code)


@shared_task(expires=60)
def reconcile() -> None:
    """Give unfinished work to the workers again."""
    now = timezone.now()
    in_hand = timedelta(seconds=settings.UNFINISHED_SECONDS)
    for message_pk in sealing.due(now, older_than=in_hand):
        enqueue(seal, message_pk)
    for delivery_pk in deliveries.due(now):
        enqueue(deliver, delivery_pk)
    for message_pk in trust.take_due(now):
        enqueue(recheck, message_pk)
    for account_pk in archive.due(now, older_than=in_hand):
        enqueue(archive_waiting, account_pk)
    unfinished = Arrival.objects.filter(
        state__in=[Arrival.State.WAITING, Arrival.State.OPENED], updated_at__lt=now - in_hand
    )
    for account_pk in set(unfinished.values_list("account_id", flat=True)):
        enqueue(pull, account_pk)


@shared_task(expires=60)
def pull_all() -> None:
    """The safety net under ingress: look into every mailbox."""
    for account_pk in Account.objects.filter(enrolled_at__isnull=False).values_list("pk", flat=True):
        enqueue(pull, account_pk)
