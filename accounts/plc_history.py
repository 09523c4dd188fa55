"""The entries of the PLC directory's log that were seen, so that a rewritten log is noticed.

The newest entry of each person is remembered. Entries that are added are a change like others; one that was
seen and is not there any more, while others follow the same one, is a log that was rewritten.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts import identities, key_history, plc_log
from accounts.identities import IdentityError
from accounts.key_history import Change
from accounts.models import Peer, PeerEvent, PlcOperation
from accounts.plc_log import Operation, PlcLogError

MAX_AGE = timedelta(hours=24)
Kind = PeerEvent.Kind


def read(did: str, *, now: datetime | None = None) -> Peer | None:
    """Reads the log about a did:plc, and keeps what is new in it; None where there is nothing to read.

    A log that does not hold together is noted as the peer's ``plc_problem``, and what was seen before stays.
    Raises IdentityError when the directory cannot be reached.
    """
    now = now or timezone.now()
    peer = Peer.objects.filter(did=did).first()
    if peer is None or not did.startswith("did:plc:"):
        return None
    try:
        operations = plc_log.read(identities.plc_log_of(did), did)
    except (PlcLogError, IdentityError) as error:
        Peer.objects.filter(pk=peer.pk).update(plc_checked_at=now, plc_problem=error.code)
        if isinstance(error, PlcLogError):
            return Peer.objects.get(pk=peer.pk)
        raise
    return _keep(peer.pk, operations, now)


def head_of(peer: Peer) -> PlcOperation | None:
    """The newest entry that counts, as last seen."""
    rows = peer.plc_operations.filter(nullified=False, missing_since__isnull=True)
    return rows.order_by("-position").first()


def due(now: datetime, *, limit: int = 100) -> list[str]:
    """DIDs whose log was not read for a day, of people who were lately read; the longest ago first."""
    rows = Peer.objects.filter(did__startswith="did:plc:", known_since__isnull=False)
    rows = rows.filter(checked_at__gt=now - timedelta(days=30))
    rows = rows.filter(Q(plc_checked_at__isnull=True) | Q(plc_checked_at__lte=now - MAX_AGE))
    return list(
        rows.order_by(F("plc_checked_at").asc(nulls_first=True)).values_list("did", flat=True)[:limit]
    )


def _keep(peer_pk: int, operations: Sequence[Operation], now: datetime) -> Peer:
    with transaction.atomic():
        peer = Peer.objects.select_for_update().get(pk=peer_pk)
        known = {row.cid: row for row in peer.plc_operations.all()}
        changes: list[Change] = []
        for position, operation in enumerate(operations):
            row = known.pop(operation.cid, None)
            changes += _changes(row, operation)
            _store(peer, row, operation, position, now)
        for row in known.values():
            if row.missing_since is None:
                changes.append(Change(Kind.LOG_REWRITTEN, row.cid))
                row.missing_since = now
                row.save(update_fields=["missing_since"])
        if peer.plc_operations.filter(first_seen_at__lt=now).exists():
            key_history.keep(peer, changes, now)
        peer.plc_checked_at, peer.plc_problem = now, ""
        peer.save(update_fields=["plc_checked_at", "plc_problem"])
    return peer


def _changes(row: PlcOperation | None, operation: Operation) -> list[Change]:
    if row is None:
        return [Change(Kind.LOG_GREW, operation.cid)]
    if operation.nullified and not row.nullified:
        return [Change(Kind.LOG_UNDONE, operation.cid)]
    return []


def _store(peer: Peer, row: PlcOperation | None, operation: Operation, position: int, now: datetime) -> None:
    row = row or PlcOperation(
        peer=peer,
        cid=operation.cid,
        created_at=operation.created_at,
        handle=operation.handle,
        pds_url=operation.pds_url,
        signing_key=operation.signing_key,
        rotation_keys=list(operation.rotation_keys),
        tombstone=operation.tombstone,
        first_seen_at=now,
    )
    row.position, row.nullified, row.missing_since = position, operation.nullified, None
    row.save()
