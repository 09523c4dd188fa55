"""Asking push services to wake the browsers of an account."""

from __future__ import annotations

import logging
from collections.abc import Callable

import httpx
from django.core.cache import cache
from django.db.models import F
from joserfc.jwk import ECKey

from accounts.models import Account
from outbound import shared_client
from webmail.models import PushSubscription
from webmail.push import subscriptions, vapid

log = logging.getLogger(__name__)

#: Seconds for one push service to answer, and for all of an account's together.
PATIENCE_SECONDS = 10
PATIENCE_WITH_ALL_SECONDS = 15
#: An account's browsers are left alone so many times as long as its push services took: whoever names some
#: that are slow has no more than a quarter of one worker's time, and the workers are everybody's.
PAUSES = 3
#: How long a push service keeps a notice for a browser that is off, in seconds. Later ones replace it.
KEPT_SECONDS = 24 * 60 * 60


class WokenAlready(Exception):
    """The account's browsers are being woken, or were a moment ago. What came since has to be said later."""


def wake(account: Account, now_s: int, clock: Callable[[], float]) -> int:
    """Wakes every browser in which the account is signed in; how many push services took the empty notice.

    Addresses that are gone are given up; whatever else goes wrong is tried again with the next message.
    Those that failed come last, and wait for the next message where the others took long. ``now_s`` is in
    seconds since the epoch, ``clock`` counts seconds and never goes back. Raises WokenAlready.
    """
    key = vapid.key()
    if key is None:
        return 0
    turn = f"waking:{account.pk}"
    if not cache.add(turn, True, PATIENCE_WITH_ALL_SECONDS + PATIENCE_SECONDS):
        raise WokenAlready
    begun = clock()
    woken = 0
    try:
        for row in subscriptions.signed_in(account.pk).order_by("failures", "created_at", "pk"):
            if clock() - begun < PATIENCE_WITH_ALL_SECONDS:
                woken += _wake(row, key, now_s)
    finally:
        cache.set(turn, True, int(PAUSES * (clock() - begun)))
    return woken


def _wake(row: PushSubscription, key: ECKey, now_s: int) -> bool:
    headers = {
        "Authorization": vapid.authorization(row.endpoint, key, vapid.contact(), now_s),
        "TTL": str(KEPT_SECONDS),
        "Topic": "news",
        "Urgency": "high",
    }
    try:
        answer = shared_client().post(
            row.endpoint, headers=headers, content=b"", extensions={"seconds": PATIENCE_SECONDS}
        )
    except httpx.HTTPError as error:
        return _failed(row, type(error).__name__)
    if answer.is_success:
        PushSubscription.objects.filter(pk=row.pk, failures__gt=0).update(failures=0)
        return True
    if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        PushSubscription.objects.filter(pk=row.pk).update(failures=subscriptions.GIVE_UP_AFTER)
        return False
    return _failed(row, str(answer.status_code))


def _failed(row: PushSubscription, why: str) -> bool:
    log.info("a browser of account %s was not woken: %s", row.account_id, why)
    PushSubscription.objects.filter(pk=row.pk).update(failures=F("failures") + 1)
    return False
