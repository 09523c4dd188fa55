"""Whom an account follows and blocks, as its own repository shows to anybody, kept for some hours.

Nothing but public records is read, so no right is needed that was not granted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from accounts import handles, repositories
from accounts.models import Account
from accounts.repositories import Record
from webmail import blocking, consent
from webmail.models import ConsentChoice, GraphEntry

COLLECTIONS = {
    GraphEntry.Kind.FOLLOW: "app.bsky.graph.follow",
    GraphEntry.Kind.BLOCK: "app.bsky.graph.block",
}
#: More records of one kind than this are not read: the newest count.
MOST = 5000
#: How old what is known may become, and how old while somebody new waits for an answer.
MAX_AGE = timedelta(hours=6)
MAX_AGE_WAITING = timedelta(minutes=10)
#: Rows written at a time.
BATCH = 500


def due(now: datetime) -> list[int]:
    """Keys of the accounts whose repository should be read again."""
    fresh = ConsentChoice.objects.filter(
        Q(graph_read_at__gt=now - MAX_AGE) | Q(graph_tried_at__gt=now - MAX_AGE_WAITING)
    ).values("account_id")
    rows = Account.objects.filter(enrolled_at__isnull=False).exclude(pk__in=fresh)
    return list(rows.values_list("pk", flat=True))


def refresh(account: Account, *, now: datetime, max_age: timedelta = MAX_AGE) -> bool:
    """Read follows and blocks unless they were read within ``max_age``, or asked for a moment ago, and act on
    what changed.

    True if they were read. Raises repositories.RepositoryError; what was known stays then.
    """
    row, _created = ConsentChoice.objects.get_or_create(account=account)
    tried_lately = row.graph_tried_at is not None and now - row.graph_tried_at < MAX_AGE_WAITING
    if tried_lately or (row.graph_read_at is not None and now - row.graph_read_at < max_age):
        return False
    ConsentChoice.objects.filter(pk=row.pk).update(graph_tried_at=now)
    found = {
        kind: subjects_of(repositories.list_records(account.pds_url, account.did, collection, at_most=MOST))
        for kind, collection in COLLECTIONS.items()
    }
    with transaction.atomic():
        changed = {kind: _keep(account, kind, dids, now) for kind, dids in found.items()}
        ConsentChoice.objects.filter(pk=row.pk).update(graph_read_at=now)
    if blocks := changed[GraphEntry.Kind.BLOCK]:
        blocking.bring_in_line(account, blocks)
    if follows := changed[GraphEntry.Kind.FOLLOW]:
        consent.reconsider(account, follows)
    return True


def subjects_of(records: Iterable[Record]) -> list[str]:
    """The DIDs that follow or block records name, once each; a record that names none is passed over."""
    subjects = (record.value.get("subject") for record in records)
    return list(dict.fromkeys(did for did in subjects if isinstance(did, str) and handles.is_did(did)))


def _keep(account: Account, kind: GraphEntry.Kind, dids: list[str], now: datetime) -> set[str]:
    """Bring the rows of one kind in line; the DIDs that came or went."""
    rows = GraphEntry.objects.filter(account=account, kind=kind)
    known, wanted = set(rows.values_list("did", flat=True)), set(dids)
    gone, new = known - wanted, [did for did in dids if did not in known]
    for start in range(0, len(new), BATCH):
        GraphEntry.objects.bulk_create(
            [
                GraphEntry(account=account, kind=kind, did=did, since=now)
                for did in new[start : start + BATCH]
            ],
            ignore_conflicts=True,
        )
    leaving = sorted(gone)
    for start in range(0, len(leaving), BATCH):
        rows.filter(did__in=leaving[start : start + BATCH]).delete()
    return gone | set(new)
