"""Accounts whose work waits because their keys are locked, and what begins when they are unlocked.

While an account is locked its mail stays sealed where it is, what was written stays unsealed, and prekeys
stay as they are. Nothing of it is an error: it is taken up again when somebody unlocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Account
from crypto_agent.client import AgentLocked
from webmail import events, queues
from webmail.models import AccountImport, Acknowledgement, Delivery, Message

#: After this the agent is asked again whether an account is still locked, should an unlocking have got lost.
ASK_AGAIN = timedelta(minutes=15)


def still(now: datetime) -> Q:
    """Rows of accounts that wait, and about which the agent need not be asked at ``now``."""
    locked_again = Q(unlocked_at__isnull=True) | Q(unlocked_at__lt=F("waits_since"))
    return Q(waits_since__gt=now - ASK_AGAIN) & locked_again


def is_waiting(account_pk: int, now: datetime) -> bool:
    """Whether the account was found locked so lately that asking its agent for keys is of no use."""
    return Account.objects.filter(still(now), pk=account_pk).exists()


def waiting_accounts(now: datetime) -> set[int]:
    """Keys of all accounts for which ``is_waiting`` holds."""
    return set(Account.objects.filter(still(now)).values_list("pk", flat=True))


@contextmanager
def may_wait(account_pk: int) -> Iterator[None]:
    """Work that stops where it finds the account locked, quietly; the account is noted as waiting."""
    # Since its beginning, so that an unlocking that comes in between counts as the later of the two.
    begun = timezone.now()
    try:
        yield
    except AgentLocked:
        Account.objects.filter(pk=account_pk).update(waits_since=begun)


def on_unlocked(*, account: Account, **_: object) -> None:
    """Gives everything that waited for this account to the workers, and tells its open pages."""
    transaction.on_commit(partial(_enqueue, account.pk))
    transaction.on_commit(partial(events.publish, account.pk, "custody"))


def on_locked(*, account: Account, **_: object) -> None:
    """Lets the open pages look again at what they may show."""
    transaction.on_commit(partial(events.publish, account.pk, "custody"))


def _enqueue(account_pk: int) -> None:
    unsealed = Message.objects.filter(account=account_pk, direction=Message.Direction.OUT).filter(
        Q(state=Message.State.COMPOSED) | Q(deliveries__state=Delivery.State.QUEUED)
    )
    queues.give(queues.PULL, account_pk)
    for message_pk in unsealed.order_by("pk").values_list("pk", flat=True).distinct():
        queues.give(queues.SEAL, message_pk)
    unsaid = Acknowledgement.objects.filter(message__account=account_pk)
    for conversation_pk in unsaid.values_list("message__conversation__pk", flat=True).order_by().distinct():
        queues.give(queues.ACKNOWLEDGE, conversation_pk)
    imports = AccountImport.objects.filter(account=account_pk, state=AccountImport.State.RUNNING)
    for import_pk in imports.values_list("pk", flat=True):
        queues.give(queues.TAKE_IN, import_pk)
    queues.give(queues.ARCHIVE_WAITING, account_pk)
    queues.give(queues.RENEW_PREKEYS, account_pk)
