"""What the workers do. Each task reads its arguments, calls one domain function, and may run twice.

The database is the queue: a task that is lost with its broker or its worker is found again by
`reconcile`, which the scheduler starts every few seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from celery import shared_task
from celery.exceptions import Reject
from django.conf import settings
from django.utils import timezone

from accounts import failures, lookups
from accounts.agent import agent
from accounts.models import Account
from accounts.repositories import RepositoryError
from crypto_agent.client import AgentError
from webmail import (
    account_erasure,
    account_import,
    acknowledging,
    archive,
    avatars,
    blocking,
    deliveries,
    forgetting,
    former_data_keys,
    graph,
    held_messages,
    intake,
    kept_aside_removal,
    key_gate,
    pending,
    pull_lock,
    queues,
    reporting,
    requests,
    sealing,
    search_index,
    trust,
    waiting,
)
from webmail.blobs import sweeping
from webmail.mailbox import MailboxError
from webmail.models import Arrival, Conversation, Delivery, Message
from webmail.ordinary import carrying, filing, in_transit, removing, unsent
from webmail.push import notices, sending, subscriptions

log = logging.getLogger(__name__)

#: What the clock gives, and is not begun so many seconds later, is given again.
ROUND_SECONDS = 60
#: For how long a mailbox is taken in at a time; less than its lock lasts, and a task may take.
PULL_TURN_SECONDS = 5.0


@shared_task
def pull(account_pk: int) -> None:
    """Take in what is new in one account's mailbox; of much, a part before somebody else has a turn."""
    account = Account.objects.get(pk=account_pk)
    more = False
    with pull_lock.holding(account_pk) as rounds, lookups.sparing():
        for _round in rounds:
            more = False
            try:
                with waiting.may_wait(account_pk):
                    more = intake.pull_part(account, seconds=PULL_TURN_SECONDS)
            except (MailboxError, AgentError) as error:
                log.warning("pull of account %s stopped: %s", account_pk, error.code)
                return
            if more:
                break
    if more or pull_lock.asked_again(account_pk):
        queues.give(queues.PULL, account_pk)


@shared_task
def seal(message_pk: int) -> None:
    """Seal one message and start its deliveries; servers that are slow to name devices are left for later."""
    _seal(message_pk, sealing.QUICK_SECONDS)


@shared_task
def seal_patiently(message_pk: int) -> None:
    """The same for what is still to be sealed, with time for slow servers."""
    _seal(message_pk, sealing.DEVICES_SECONDS)


def _seal(message_pk: int, seconds: float) -> None:
    try:
        account_pk = Message.objects.values_list("account_id", flat=True).get(pk=message_pk)
        with waiting.may_wait(account_pk), lookups.sparing():
            sealing.seal_message(message_pk, seconds=seconds, hand_over=_hand_over)
    except Message.DoesNotExist:
        raise Reject("the message is gone", requeue=False) from None
    except (MailboxError, AgentError) as error:
        log.warning("sealing of message %s waits: %s", message_pk, error.code)


def _hand_over(ready: Sequence[int]) -> None:
    """Give deliveries to the workers that carry. One that stays here is carried at once: it waits for
    nobody's server, and its recipient may be looking at the page."""
    here = deliveries.one_for_here(ready)
    for delivery_pk in ready:
        if delivery_pk != here:
            queues.give(queues.DELIVER, delivery_pk)
    if here is not None:
        _carry(here)


@shared_task
def release(pending_pk: int) -> None:
    """Send a message whose time has come, or that can't be taken back any more."""
    pending.release(pending_pk, now=timezone.now())


@shared_task
def deliver(delivery_pk: int) -> None:
    """Carry one delivery."""
    _carry(delivery_pk)


def _carry(delivery_pk: int) -> None:
    deliveries.deliver(delivery_pk)
    if Delivery.objects.filter(pk=delivery_pk, state=Delivery.State.QUEUED).exists():
        message_pk = Delivery.objects.values_list("message_id", flat=True).get(pk=delivery_pk)
        queues.give(queues.SEAL_PATIENTLY, message_pk)


@shared_task(time_limit=carrying.STOPPED_AFTER_SECONDS)
def carry_answer(recipient_pk: int) -> None:
    """Carry an answer to ordinary mail to one of its recipients."""
    carrying.carry(recipient_pk)


@shared_task
def file_answer(mail_pk: int) -> None:
    """Put the copy of an answer to ordinary mail into its writer's mailbox."""
    try:
        filing.file(mail_pk, now=timezone.now())
    except MailboxError as error:
        log.warning("the copy of answer %s waits: %s", mail_pk, error.code)


@shared_task
def recheck(message_pk: int) -> None:
    """Check once more who signed a message."""
    message = Message.objects.select_related("account", "conversation").get(pk=message_pk)
    try:
        with waiting.may_wait(message.account_id):
            trust.recheck(message)
    except (MailboxError, AgentError) as error:
        log.warning("check of message %s waits: %s", message_pk, error.code)


@shared_task
def acknowledge(conversation_pk: int) -> None:
    """Tell the others of a conversation what was opened and read, as far as that is due."""
    account_pk = Conversation.objects.filter(pk=conversation_pk).values_list("account_id", flat=True).first()
    if account_pk is None:
        raise Reject("the conversation is gone", requeue=False)
    try:
        with waiting.may_wait(account_pk):
            acknowledging.send_due(conversation_pk, now=timezone.now())
    except AgentError as error:
        log.warning("receipts of conversation %s wait: %s", conversation_pk, error.code)


@shared_task
def archive_waiting(account_pk: int) -> None:
    """Archive what was left out."""
    try:
        with waiting.may_wait(account_pk):
            archive.archive_waiting(Account.objects.get(pk=account_pk), now=timezone.now())
    except (MailboxError, AgentError) as error:
        log.warning("the archive of account %s waits: %s", account_pk, error.code)


@shared_task
def index_messages(account_pk: int) -> None:
    """Take an account's new messages into its search index."""
    more = False
    try:
        with waiting.may_wait(account_pk):
            more = search_index.index_waiting(Account.objects.get(pk=account_pk), now=timezone.now())
    except AgentError as error:
        log.warning("the search index of account %s waits: %s", account_pk, error.code)
    if more:
        queues.give(queues.INDEX_MESSAGES, account_pk)


@shared_task
def look_into_requests(account_pk: int) -> None:
    """Learn what decides about an account's requests, and what it wants to know of who sent them."""
    account = Account.objects.get(pk=account_pk)
    with lookups.sparing():
        try:
            graph.refresh(account, now=timezone.now(), max_age=graph.MAX_AGE_WAITING)
        except RepositoryError as error:
            log.warning("follows and blocks of account %s wait: %s", account_pk, error.code)
        requests.learn_ages(account, now=timezone.now())


@shared_task
def read_graph(account_pk: int) -> None:
    """Read whom an account follows and blocks, unless that was done lately."""
    try:
        with lookups.sparing():
            graph.refresh(Account.objects.get(pk=account_pk), now=timezone.now())
    except RepositoryError as error:
        log.warning("follows and blocks of account %s wait: %s", account_pk, error.code)


@shared_task(expires=600)
def read_graphs() -> None:
    """Start read_graph for every account for which it is time."""
    for account_pk in graph.due(timezone.now()):
        queues.give(queues.READ_GRAPH, account_pk)


@shared_task(expires=3600)
def prune_set_aside() -> None:
    """Remove what was kept of blocked people for long enough."""
    try:
        log.info("%s messages of blocked people removed", blocking.prune(timezone.now()))
    except MailboxError as error:
        log.warning("removing messages of blocked people stopped: %s", error.code)


@shared_task(expires=3600)
def prune_kept_aside() -> None:
    """Remove what was kept aside for long enough, and nothing will open."""
    log.info("%s mails that were kept aside removed", kept_aside_removal.prune(timezone.now()))


@shared_task(expires=3600)
def prune_deleted_mail() -> None:
    """Remove deleted ordinary mail whose time is over."""
    log.info("%s deleted mails removed", removing.prune(timezone.now()))


@shared_task(expires=3600)
def prune_reports() -> None:
    """Remove reports whose time is over."""
    log.info("%s reports removed", reporting.prune(timezone.now()))


@shared_task(expires=3600)
def prune_subscriptions() -> None:
    """Forget browsers that wait to be woken and in which nobody was signed in for long."""
    log.info("%s browsers that were to be woken forgotten", subscriptions.prune(timezone.now()))


@shared_task
def erase(account_pk: int) -> None:
    """Take what an account let go of out of its archive and search index."""
    more = False
    try:
        with waiting.may_wait(account_pk):
            more = forgetting.erase(Account.objects.get(pk=account_pk), now=timezone.now())
    except (MailboxError, AgentError) as error:
        log.warning("what account %s let go of waits: %s", account_pk, error.code)
    if more:
        queues.give(queues.ERASE, account_pk)


@shared_task
def close_account(account_pk: int) -> None:
    """Go on with closing an account that stopped on the way."""
    account = Account.objects.filter(pk=account_pk, closing_since__isnull=False).first()
    if account is None:
        return
    try:
        account_erasure.go_on(account, agent())
    except (*failures.PUBLISHING, MailboxError) as error:
        log.warning("closing account %s waits: %s", account_pk, error.code)


@shared_task
def take_in(import_pk: int) -> None:
    """Take in what is left of an account's export."""
    account = Account.objects.filter(imports__pk=import_pk).first()
    if account is None:
        return
    try:
        with waiting.may_wait(account.pk):
            if account_import.take_in(import_pk):
                queues.give(queues.PULL, account.pk)
            else:
                queues.give(queues.TAKE_IN, import_pk)
    except (MailboxError, AgentError) as error:
        log.warning("import %s waits: %s", import_pk, error.code)


@shared_task
def leave_former_data_keys(account_pk: int, newest: int, holder: int = 0, row: int = 0) -> None:
    """Have what rests under former data keys of an account encrypted under its newest one, from there on."""
    place = former_data_keys.Place(holder, row)
    try:
        more = former_data_keys.let_go(Account.objects.get(pk=account_pk), newest, place)
    except AgentError as error:
        log.info("what rests under former keys of account %s waits: %s", account_pk, error.code)
        return
    if more:
        leave_former_data_keys.delay(account_pk, newest, *more)


@shared_task(expires=3600)
def leave_all_former_data_keys() -> None:
    """Start leave_former_data_keys for every account that has such keys."""
    try:
        for account_pk, newest in former_data_keys.due():
            leave_former_data_keys.delay(account_pk, newest)
    except AgentError as error:
        log.warning("former data keys wait: %s", error.code)


@shared_task
def wake(account_pk: int) -> None:
    """Wake the browsers of an account, if something is still unread."""
    account = Account.objects.get(pk=account_pk)
    if notices.notice_for(account):
        try:
            sending.wake(account, int(time.time()), time.monotonic)
        except sending.WokenAlready:
            notices.something_came(account_pk)


@shared_task
def remove_abandoned_uploads() -> None:
    """Remove exports that were uploaded and never begun."""
    account_import.remove_abandoned(time.time())


@shared_task(expires=ROUND_SECONDS)
def reconcile() -> None:
    """Give unfinished work to the workers again."""
    now = timezone.now()
    in_hand = timedelta(seconds=settings.UNFINISHED_SECONDS)
    key_gate.release_settled()
    held_messages.give_up(now)
    for pending_pk, seconds in pending.due(now):
        _give_again(queues.RELEASE, pending_pk, after_s=seconds)
    for message_pk in sealing.due(now, older_than=in_hand):
        _give_again(queues.SEAL_PATIENTLY, message_pk)
    for delivery_pk in deliveries.due(now):
        _give_again(queues.DELIVER, delivery_pk)
    for recipient_pk in carrying.due(now):
        _give_again(queues.CARRY_ANSWER, recipient_pk)
    for mail_pk in filing.due(now - in_hand):
        _give_again(queues.FILE_ANSWER, mail_pk)
    for mail_pk in in_transit.due_to_be_dropped():
        in_transit.let_go_of(mail_pk)
    unsent.drop_old(now)
    for message_pk in trust.take_due(now):
        # No round gives it again before that.
        queues.give(queues.RECHECK, message_pk, within_s=trust.IN_HAND.total_seconds())
    for account_pk in set(archive.due(now, older_than=in_hand)) - waiting.waiting_accounts(now):
        _give_again(queues.ARCHIVE_WAITING, account_pk)
    for conversation_pk, account_pk in acknowledging.due(now - in_hand):
        if not waiting.is_waiting(account_pk, now):
            _give_again(queues.ACKNOWLEDGE, conversation_pk)
    for account_pk in search_index.due() - waiting.waiting_accounts(now):
        _give_again(queues.INDEX_MESSAGES, account_pk)
    forgetting.forget_expired(now)
    for account_pk in forgetting.due() - waiting.waiting_accounts(now):
        _give_again(queues.ERASE, account_pk)
    for account_pk in account_erasure.due(now):
        _give_again(queues.CLOSE_ACCOUNT, account_pk)
    for import_pk, account_pk in account_import.due(now, older_than=in_hand):
        if not waiting.is_waiting(account_pk, now):
            _give_again(queues.TAKE_IN, import_pk)
    unfinished = Arrival.objects.filter(
        state__in=[Arrival.State.WAITING, Arrival.State.OPENED], updated_at__lt=now - in_hand
    )
    for account_pk in set(unfinished.values_list("account_id", flat=True)) - waiting.waiting_accounts(now):
        _give_again(queues.PULL, account_pk, queue=queues.SCHEDULE)


@shared_task(expires=ROUND_SECONDS)
def pull_all() -> None:
    """The safety net under ingress: look into every mailbox.

    In another order each time: where workers don't get through all in a round, others were left out before.
    """
    enrolled = Account.objects.filter(enrolled_at__isnull=False).order_by("?")
    for account_pk in enrolled.values_list("pk", flat=True):
        _give_again(queues.PULL, account_pk, queue=queues.SCHEDULE)


def _give_again(task: str, key: int, *, queue: str | None = None, after_s: float = 0) -> None:
    """What a later round gives again if it is still to be done. Were the former kept, they would heap up
    where workers are slow or away, and whoever works them off would get to the next round too late."""
    within_s = max(ROUND_SECONDS, settings.RECONCILE_SECONDS, settings.PULL_SECONDS)
    queues.give(task, key, queue=queue, after_s=after_s, within_s=within_s)


@shared_task(expires=3600)
def sweep_files() -> None:
    """Remove files whose time is over."""
    try:
        log.info("%s files removed", sweeping.sweep(timezone.now()))
    except AgentError as error:
        log.warning("sweeping files stopped: %s", error.code)


@shared_task(expires=3600)
def forget_pictures() -> None:
    """Forget profile pictures that were fetched long ago."""
    avatars.forget_old(time.time())
