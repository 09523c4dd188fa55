"""What the workers do for accounts. Each task calls one domain function and may run twice."""

import logging
import time

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore

from accounts import avatars, enrolment, failures, oauth
from accounts.models import Account

logger = logging.getLogger(__name__)


@shared_task
def renew_prekeys_of(account_id: int) -> None:
    """Replaces prekeys that are due, and writes what revocations still have to say at the account's PDS."""
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        return
    for work in (enrolment.finish_withdrawals, enrolment.renew_prekeys, enrolment.remove_tombstones):
        try:
            work(account)
        except failures.PUBLISHING as error:
            logger.warning("%s for account %s stopped: %s", work.__name__, account_id, error.code)


@shared_task
def forget_old() -> None:
    """Forgets sign-ins that were never finished, browsers that stayed away, and pictures fetched long ago."""
    oauth.forget_expired_requests()
    SessionStore.clear_expired()
    avatars.forget_old(time.time())


@shared_task
def renew_all_prekeys() -> None:
    """Starts renew_prekeys_of for every enrolled account; the agent knows which prekeys are due."""
    for account_id in Account.objects.filter(enrolled_at__isnull=False).values_list("pk", flat=True):
        renew_prekeys_of.delay(account_id)
