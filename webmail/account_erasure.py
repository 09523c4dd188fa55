"""Erasing an account from this installation: what is published, its keys, its mailbox, its rows.

That it is being closed is noted before anything goes, and it receives nothing from then on. Where somebody's
server is away meanwhile, workers go on with it until nothing is left.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from accounts import enrolment, oauth
from accounts.models import Account
from accounts.pds import SignInAgain
from accounts.repositories import RepositoryError
from crypto_agent.client import AgentClient, AgentError, AgentUnavailable
from webmail import account_import
from webmail.blobs import attaching
from webmail.mailbox import FOLDERS, open_mailbox
from webmail.redis_client import redis_client

log = logging.getLogger(__name__)

Waits = Account.ClosingWaits

#: The longest time between two tries; the first one is settings.UNFINISHED_SECONDS.
LONGEST_GAP = timedelta(hours=1)
#: Longer than a try takes; after this one that was killed holds up the next no more.
LONGEST_TRY = timedelta(minutes=10)


def erase(
    account: Account,
    client: AgentClient,
    *,
    assertion: dict[str, Any] | None = None,
    tell_server: bool = True,
) -> bool:
    """Leaves nothing of the account here but the agent's audit log; False where another process is at it,
    which is left to do it then.

    The keys go first, so that whatever is left opens no more; ``assertion`` is the passkey's answer, where
    the account requires it. Then the person's own server is told, unless ``tell_server`` is False. Raises one
    of failures.PUBLISHING or MailboxError; unless the agent refused, ``go_on`` does the rest then.
    """
    with _in_hand(account.pk) as ours:
        if not ours:
            return False
        _note_try(account)
        try:
            client.erase_account(account.did, assertion=assertion)
        except AgentError as error:
            # Of an agent that gave no answer nobody knows whether it did it.
            if type(error) is not AgentUnavailable and account.closing_waits_for == Waits.KEYS:
                _take_back(account)
            raise
        _without_keys(account, tell_server=tell_server)
    return True


def go_on(account: Account, client: AgentClient) -> None:
    """Does what is left of ``erase``, from where it stopped; raises as that does.

    Keys that are there are left alone, for workers may not destroy any: then the account stays open.
    """
    with _in_hand(account.pk) as ours:
        if not ours:
            return
        _note_try(account)
        if account.closing_waits_for == Waits.KEYS and client.list_devices(account.did):
            _take_back(account)
            return
        _without_keys(account, tell_server=True)


def due(now: datetime) -> list[int]:
    """The keys of accounts that are being closed and for which it is time: at growing gaps, and as soon as
    somebody signed in, where that was missing."""
    closing = Account.objects.filter(closing_since__isnull=False)
    signed_in = Q(closing_waits_for=Waits.SIGN_IN, signed_in_at__gt=F("closing_tried_at"))
    due = set(closing.filter(signed_in).values_list("pk", flat=True))
    for pk, since, tried_at in closing.values_list("pk", "closing_since", "closing_tried_at"):
        assert since is not None
        assert tried_at is not None
        if now >= tried_at + _gap(tried_at - since):
            due.add(pk)
    return sorted(due)


@contextmanager
def _in_hand(account_pk: int) -> Iterator[bool]:
    """Whether this process alone is at closing the account, in this block. Without Redis it is."""
    lock = redis_client(settings.REDIS_URL).lock(
        f"closing:{account_pk}", timeout=LONGEST_TRY.total_seconds(), thread_local=False
    )
    try:
        ours = lock.acquire(blocking=False)
    except redis.RedisError:
        yield True
        return
    try:
        yield ours
    finally:
        if ours:
            with suppress(redis.RedisError):
                lock.release()


def _gap(waited: timedelta) -> timedelta:
    """Each as long as all before it."""
    return min(max(waited, timedelta(seconds=settings.UNFINISHED_SECONDS)), LONGEST_GAP)


def _note_try(account: Account) -> None:
    now = timezone.now()
    if account.closing_since is None:
        account.closing_since, account.closing_waits_for = now, Waits.KEYS
    account.closing_tried_at = now
    _store(account, "closing_since", "closing_tried_at", "closing_waits_for")


def _take_back(account: Account) -> None:
    account.closing_since = account.closing_tried_at = None
    account.closing_waits_for = ""
    _store(account, "closing_since", "closing_tried_at", "closing_waits_for")


def _waits_for(account: Account, what: Account.ClosingWaits) -> None:
    account.closing_waits_for = what
    _store(account, "closing_waits_for")


def _store(account: Account, *fields: str) -> None:
    # Not by save(), to which a row that is gone would be an error: it is what all this is for.
    Account.objects.filter(pk=account.pk).update(**{name: getattr(account, name) for name in fields})


def _without_keys(account: Account, *, tell_server: bool) -> None:
    if account.closing_waits_for == Waits.KEYS:
        # From here on nothing more is pulled or renewed for it, and no passkey is there to be shown.
        account.enrolled_at, account.closing_waits_for = None, Waits.SERVER
        account.custody, account.passkey_required = Account.Custody.MANAGED, False
        _store(account, "enrolled_at", "closing_waits_for", "custody", "passkey_required")
    if tell_server and account.closing_waits_for != Waits.MAILBOX:
        _tell_server(account)
    _waits_for(account, Waits.MAILBOX)
    _empty_mailbox(account.did)
    account_import.forget(account)
    attaching.forget_all(account)
    # They end here with the account and not before, for a page that looks on meanwhile is signed in by one.
    for session in account.oauth_sessions.all():
        if not oauth.tell_ended(session):
            log.warning("%s could not be told that a session has ended", session.issuer)
    did = account.did
    account.delete()
    # What came in the meantime; for an account that is gone nothing more does.
    _empty_mailbox(did)


def _tell_server(account: Account) -> None:
    _waits_for(account, Waits.SERVER)
    try:
        enrolment.withdraw_everything(account)
    except SignInAgain:
        _waits_for(account, Waits.SIGN_IN)
        raise
    except RepositoryError as error:
        if error.code != "repository-gone":
            raise
        # It publishes nothing any more.
        log.info("what account %s published is gone with its repository", account.pk)


def _empty_mailbox(did: str) -> None:
    with open_mailbox(did) as mailbox:
        for folder in FOLDERS:
            mailbox.expunge(folder, mailbox.uids_after(folder, 0))
