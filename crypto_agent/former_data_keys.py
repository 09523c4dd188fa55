"""The end of former versions of data keys: what is under them is encrypted again, then they are destroyed.

The agent sees to its own rows (data_key_renewal). What rests outside is brought by whoever keeps it, who says
in the end from which version on something is left there.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice, pairwise

from django.db import models, transaction
from django.db.models import Count, Exists, Max, OuterRef

from crypto_agent import drafts, key_store, write_ahead_log
from crypto_agent.client_values import FormerDataKeys, FormerDataKeysPage, RestingItem, SealedContent
from crypto_agent.content_at_rest import seal_content, unseal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal, InvalidRequest, NoSuchAccount
from crypto_agent.files_at_rest import seal_file, unseal_file
from crypto_agent.key_store import account_keys
from crypto_agent.models import (
    Account,
    ArchiveKey,
    AttestationKey,
    DataKey,
    DeviceKey,
    PrekeySecret,
    SearchSegment,
)
from crypto_agent.unlock_sessions import sessions

#: So long after another one has followed, nothing that was encrypted under a version is still on its way.
SETTLED = timedelta(days=7)
#: And so long after that, a backup from before it was encrypted again still opens.
KEPT_FOR_BACKUPS = timedelta(days=30)
#: A worker looks every hour: what is there for so long after that is late.
GRACE = timedelta(days=1)
MOST_LISTED = 1000


def seal_again(did: str, items: Sequence[RestingItem], random: Random) -> list[bytes | None]:
    """The items under the newest version, in their order; None for what can't be unsealed.

    Raises NoSuchAccount, AccountLocked, InvalidRequest for an item without the ids of its kind.
    """
    _, keys = account_keys(did)
    return [_sealed_again(keys, item, f"items[{index}]", random) for index, item in enumerate(items)]


def list_former(now: datetime, cursor: int | None = None) -> FormerDataKeysPage:
    """The accounts with former versions that are settled, of locked ones those that whoever asks may use.

    The first of them, or those behind the ``cursor`` of a page.
    """
    accounts = (
        Account.objects.annotate(
            versions=Count("data_keys"),
            newest=Max("data_keys__version"),
            newest_at=Max("data_keys__created_at"),
            lock=Max("data_keys__lock_id"),
        )
        .filter(pk__gt=cursor or 0, versions__gt=1, newest_at__lte=now - SETTLED)
        .order_by("pk")
        .values_list("pk", "did", "newest", "lock")
    )
    usable = (
        (pk, FormerDataKeys(did, newest))
        for pk, did, newest, lock in accounts
        if not lock or sessions.seconds_left(did, lock) > 0
    )
    found = list(islice(usable, MOST_LISTED + 1))
    listed = found[:MOST_LISTED]
    return FormerDataKeysPage(
        [account for _, account in listed], str(listed[-1][0]) if len(found) > MOST_LISTED else None
    )


def late(now: datetime) -> int:
    """How many accounts, locked ones too, have a former version that should have been destroyed."""
    former = DataKey.objects.filter(account=OuterRef("account"), version__lt=OuterRef("version"))
    ended = now - SETTLED - KEPT_FOR_BACKUPS - GRACE
    return DataKey.objects.filter(Exists(former), created_at__lte=ended).values("account").distinct().count()


def destroy(did: str, oldest: int, now: datetime) -> int:
    """Destroys versions before ``oldest``, in the caller's transaction; how many. Needs no key.

    Kept are the newest, those that were followed less than SETTLED and KEPT_FOR_BACKUPS ago, and those under
    which the agent has a row. Raises NoSuchAccount.
    """
    account = Account.objects.select_for_update().filter(did=did).first()
    if account is None:
        raise NoSuchAccount("this account has no keys here")
    rows = list(account.data_keys.order_by("version"))
    settled = [
        row
        for row, following in pairwise(rows)
        if row.version < oldest and following.created_at <= now - SETTLED - KEPT_FOR_BACKUPS
    ]
    used = _used(account)
    ended = [row.pk for row in settled if row.version not in used]
    DataKey.objects.filter(pk__in=ended).delete()
    if ended:
        transaction.on_commit(partial(key_store.forget_data_keys, did))
        # Its wrap lies there still.
        transaction.on_commit(write_ahead_log.empty)
    return len(ended)


def _used(account: Account) -> set[int]:
    """The versions under which the agent itself has something."""
    of_account: list[models.QuerySet[models.Model]] = [
        model._default_manager.filter(account=account)
        for model in (DeviceKey, ArchiveKey, AttestationKey, SearchSegment)
    ]
    of_account.append(PrekeySecret._default_manager.filter(device__account=account))
    return {version for rows in of_account for version in rows.values_list("key_version", flat=True)}


def _sealed_again(keys: AccountKeys, item: RestingItem, path: str, random: Random) -> bytes | None:
    try:
        match item.kind:
            case "message" if item.conversation_id and item.message_id:
                ids = item.conversation_id, item.message_id
                resting = unseal_content(keys, SealedContent(*ids, item.sealed))
                return seal_content(keys, *ids, resting, random)
            case "draft" if item.draft_id:
                return drafts.seal_again(keys, item.draft_id, item.sealed, random)
            case "file" if item.file_id:
                return seal_file(keys, item.file_id, unseal_file(keys, item.file_id, item.sealed), random)
    except CannotUnseal:
        return None
    raise InvalidRequest(f"{path}: without the ids of its kind")
