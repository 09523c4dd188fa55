"""New versions of old data keys, and what is under former ones encrypted anew, on the agent's own clock.

Each account, and each few segments of its search index, is a transaction: it may end at any instruction, and
the next round goes on.
"""

import logging
import os
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, OuterRef, QuerySet, Subquery
from django.utils import timezone

from crypto_agent import audit, own_clock, stored_segments
from crypto_agent.custody import Random
from crypto_agent.data_key_rotation import rotate_data_key
from crypto_agent.errors import AccountLocked, AgentProblem
from crypto_agent.key_store import account_keys, held_account_keys, operator_key_source
from crypto_agent.models import Account, DataKey, SearchSegment
from crypto_agent.operator_keys.sources import is_present
from crypto_agent.write_turns import writing

log = logging.getLogger(__name__)

#: Who rotates, in the audit log.
SCHEDULE, COMMAND = "schedule", "command"
#: So many segments of a search index in one transaction: some megabytes.
SEGMENTS_AT_ONCE = 8
#: After so long an old data key is late: several rounds did not replace it.
GRACE = timedelta(days=1)


def begin() -> None:
    """Does a round now and every DATA_KEY_RENEWAL_SECONDS, in a thread."""
    own_clock.repeat(
        lambda: renew(timezone.now(), os.urandom),
        settings.DATA_KEY_RENEWAL_SECONDS,
        "old data keys were not replaced",
    )


def renew(now: datetime, random: Random) -> None:
    """One round for all accounts that are managed, or unlocked now. Does nothing while sealed."""
    if not is_present(operator_key_source):
        return
    if settings.DATA_KEY_DAYS:
        old = now - timedelta(days=settings.DATA_KEY_DAYS)
        for did in older_than(old):
            try:
                replace(did, SCHEDULE, now, random, made_before=old)
            except AccountLocked:
                continue
            except AgentProblem as error:
                log.error("an old data key was not replaced: %s", error.name)
    for did in behind():
        try:
            for _ in move_on(did, SCHEDULE, now, random):
                pass
        except AccountLocked:
            continue
        except AgentProblem as error:
            log.error("a search index was not encrypted anew: %s", error.name)


def replace(
    did: str, caller: str, now: datetime, random: Random, *, made_before: datetime | None = None
) -> bool:
    """A new version of the account's data key, on record; whether one was made.

    None is where the newest was not ``made_before`` then, if that is given. Raises NoSuchAccount,
    AccountLocked.
    """
    with writing():
        # Another process may have seen it, too, and have been first.
        Account.objects.select_for_update().filter(did=did).first()
        if made_before is not None and not _older_than(made_before).filter(did=did).exists():
            return False
        rotate_data_key(did, now, random)
        audit.append(audit.Use(now, caller, did, "rotateDataKey", 1, "ok", None))
        return True


def older_than(moment: datetime) -> list[str]:
    """The accounts whose newest data key was made before ``moment``."""
    return list(_older_than(moment).order_by("pk").values_list("did", flat=True))


def _older_than(moment: datetime) -> QuerySet[Account]:
    newest = Account.objects.annotate(newest=Max("data_keys__created_at"))
    return newest.filter(newest__lt=moment)


def late(now: datetime) -> int:
    """How many accounts have a data key that should have been replaced, such as locked ones."""
    if not settings.DATA_KEY_DAYS:
        return 0
    return _older_than(now - timedelta(days=settings.DATA_KEY_DAYS) - GRACE).count()


def behind() -> list[str]:
    """The accounts with segments of their search index under a former version of their data key."""
    newest = DataKey.objects.filter(account=OuterRef("account")).order_by("-version").values("version")[:1]
    former = SearchSegment.objects.filter(key_version__lt=Subquery(newest))
    return list(former.order_by("account__did").values_list("account__did", flat=True).distinct())


def move_on(did: str, caller: str, now: datetime, random: Random) -> Iterator[int]:
    """Encrypts the account's search index under the newest version; yields how many segments, by batches.

    Each batch in which something moved is on record. Raises NoSuchAccount, AccountLocked, AuditUnavailable.
    """
    account, keys = account_keys(did)
    former = account.search_segments.filter(key_version__lt=keys.current_version)
    numbers = list(former.order_by("number").values_list("number", flat=True))
    for start in range(0, len(numbers), SEGMENTS_AT_ONCE):
        with writing():
            account, keys = held_account_keys(did)
            batch = numbers[start : start + SEGMENTS_AT_ONCE]
            moved = stored_segments.encrypt_again(account, keys, batch, random)
            if moved:
                # One that does not open is tried in every round, and the log keeps everything for good.
                audit.append(audit.Use(now, caller, did, "moveIndex", moved, "ok", None))
        yield moved
