"""What the workers do for accounts. Each task calls one domain function and may run twice."""

import logging

from celery import shared_task

from accounts import enrolment
from accounts.models import Account
from accounts.pds import PdsError, SignInAgain
from accounts.records import RecordError
from accounts.repositories import RepositoryError
from crypto_agent.client import AgentError

logger = logging.getLogger(__name__)


@shared_task
def renew_prekeys_of(account_id: int) -> None:
    """Replaces the prekeys of an account that are due, and finishes revocations that wait for its PDS."""
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        return
    try:
        enrolment.finish_withdrawals(account)
        enrolment.renew_prekeys(account)
    except (
        AgentError,
        SignInAgain,
        PdsError,
        RepositoryError,
        RecordError,
        enrolment.PublicationError,
    ) as error:
        logger.warning("prekeys of account %s were not renewed: %s", account_id, error.code)


@shared_task
def renew_all_prekeys() -> None:
    """Starts renew_prekeys_of for every enrolled account; the agent knows which prekeys are due."""
    for account_id in Account.objects.filter(enrolled_at__isnull=False).values_list("pk", flat=True):
        renew_prekeys_of.delay(account_id)
