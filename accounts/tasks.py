"""What the workers do for accounts. Each task calls one domain function and may run twice."""

import logging
import time

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from accounts import browsers, enrolment, failures, oauth, own_entries, plc_history
from accounts.identities import IdentityError
from accounts.models import Account
from accounts.peers import PeerError
from crypto_agent.client import AgentLocked

logger = logging.getLogger(__name__)

#: How long one turn of reading the directory's logs may take.
LOG_SECONDS = 120.0


@shared_task
def renew_prekeys_of(account_id: int) -> None:
    """Replaces prekeys and certificates that are due, and says at the PDS what is still to be said."""
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        return
    for work in (
        enrolment.finish_withdrawals,
        enrolment.renew_prekeys,
        enrolment.renew_certificates,
        enrolment.remove_tombstones,
    ):
        try:
            work(account)
        except AgentLocked:
            # Whoever unlocks the account starts this again.
            continue
        except failures.PUBLISHING as error:
            logger.warning("%s for account %s stopped: %s", work.__name__, account_id, error.code)


@shared_task
def audit_account(account_id: int) -> None:
    """Holds what an account's repository and DID document say to what was published here."""
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        return
    try:
        if own_entries.audit(account):
            logger.warning("account %s has entries that nobody here knows of", account_id)
    except PeerError as error:
        logger.info("what account %s publishes could not be read: %s", account_id, error.code)


@shared_task(expires=3600)
def audit_all() -> None:
    """Starts audit_account for every account that was not looked at for a day."""
    for account_id in own_entries.due(timezone.now()):
        audit_account.delay(account_id)


@shared_task(expires=3600)
def read_plc_logs() -> None:
    """Reads the directory's log about people that was not read for a day, as far as one turn reaches."""
    end = time.monotonic() + LOG_SECONDS
    for did in plc_history.due(timezone.now()):
        if time.monotonic() > end:
            return
        try:
            plc_history.read(did)
        except IdentityError as error:
            logger.info("the log about %s could not be read: %s", did, error.code)


@shared_task
def forget_old() -> None:
    """Forgets sign-ins that were never finished, and browsers that stayed away."""
    oauth.forget_expired_requests()
    SessionStore.clear_expired()
    browsers.forget_ended()


@shared_task
def renew_all_prekeys() -> None:
    """Starts renew_prekeys_of for every enrolled account; the agent knows which prekeys are due."""
    for account_id in Account.objects.filter(enrolled_at__isnull=False).values_list("pk", flat=True):
        renew_prekeys_of.delay(account_id)
