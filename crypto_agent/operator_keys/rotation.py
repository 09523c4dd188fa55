"""From one version of the operator's key to the next: what wraps, what is wrapped again, what is retired."""

import logging
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count

from crypto_agent import audit
from crypto_agent.custody import OperatorKey, Random
from crypto_agent.errors import OperatorKeyMismatch, Sealed
from crypto_agent.models import DataKey, OperatorKeyVersion
from crypto_agent.operator_keys.sources import OperatorKeySource

log = logging.getLogger(__name__)


class StillInUse(Exception):
    """A version that cannot be retired, since ``rows`` data keys are wrapped by it."""

    def __init__(self, rows: int) -> None:
        super().__init__(f"{rows} data keys are still wrapped by it")
        self.rows = rows


@dataclass(frozen=True)
class VersionStatus:
    """One version of the operator's key: how many data keys it wraps, and whether it is here or retired."""

    version: int
    rows: int
    present: bool
    retired_at: datetime | None


@dataclass(frozen=True)
class Progress:
    """How many data keys were wrapped again, of how many that had to be when it began."""

    done: int
    total: int
    version: int


def key_with(source: OperatorKeySource, versions: Set[int]) -> OperatorKey:
    """The operator's key, looked for again where it lacks a version that was made since."""
    operator_key = source.key()
    if versions <= operator_key.versions:
        return operator_key
    return _read_again(source, operator_key)


def key_for_new_writes(source: OperatorKeySource) -> OperatorKey:
    """The operator's key, whose current version can't be retired before the caller's transaction ends.

    Raises OperatorKeyMismatch if it was retired already and there is no newer one here.
    """
    operator_key = source.key()
    if _hold(operator_key.current_version).retired_at is not None:
        operator_key = _read_again(source, operator_key)
        if _hold(operator_key.current_version).retired_at is not None:
            raise OperatorKeyMismatch("the newest version of the operator's key that is here was retired")
    return operator_key


def rewrap(
    source: OperatorKeySource, batch: int, clock: Callable[[], datetime], random: Random
) -> Iterator[Progress]:
    """Wraps by the current version what older ones wrap, ``batch`` rows a transaction, each on record.

    Yields after each one. It can be killed at any time, and done again: what is wrapped anew is left alone.
    Raises Sealed, OperatorKeyMismatch, AuditUnavailable.
    """
    operator_key = source.key()
    version = operator_key.current_version
    total = DataKey.objects.exclude(key_version=version).count()
    done = 0
    yield Progress(0, total, version)
    while count := _rewrap_batch(source, batch, clock(), random):
        done += count
        yield Progress(done, max(total, done), version)


def retire(version: int, now: datetime) -> None:
    """From now on nothing is wrapped by this version any more, which is put on record.

    Raises StillInUse while something is, AuditUnavailable.
    """
    with transaction.atomic():
        row = _hold(version)
        if rows := DataKey.objects.filter(key_version=version).count():
            raise StillInUse(rows)
        if row.retired_at is None:
            row.retired_at = now
            row.save(update_fields=["retired_at"])
            audit.add(audit.by_command("retire", 1, now))


def status(present: Set[int]) -> list[VersionStatus]:
    """Every version that is here, wraps something, or was retired; oldest first."""
    counts = dict(
        DataKey.objects.values_list("key_version").annotate(rows=Count("pk")).order_by("key_version")
    )
    retired = dict(OperatorKeyVersion.objects.values_list("version", "retired_at"))
    return [
        VersionStatus(version, counts.get(version, 0), version in present, retired.get(version))
        for version in sorted({*present, *counts, *retired})
    ]


def _rewrap_batch(source: OperatorKeySource, batch: int, now: datetime, random: Random) -> int:
    with transaction.atomic():
        operator_key = key_for_new_writes(source)
        version = operator_key.current_version
        rows = list(
            DataKey.objects.select_for_update(of=("self",))
            .exclude(key_version=version)
            .select_related("account")
            .order_by("pk")[:batch]
        )
        for row in rows:
            did = row.account.did
            opaque = operator_key.unwrap(bytes(row.wrapped), did, row.version, row.key_version)
            row.wrapped = operator_key.wrap(opaque, did, row.version, random)
            row.key_version = version
        DataKey.objects.bulk_update(rows, ["wrapped", "key_version"])
        if rows:
            audit.add(audit.by_command("rewrap", len(rows), now))
    return len(rows)


def _hold(version: int) -> OperatorKeyVersion:
    """The version's row, locked until the transaction ends."""
    OperatorKeyVersion.objects.get_or_create(version=version)
    return OperatorKeyVersion.objects.select_for_update().get(version=version)


def _read_again(source: OperatorKeySource, known: OperatorKey) -> OperatorKey:
    try:
        found = source.read_again()
    except Sealed as error:
        log.error("the operator's key could not be read again: %s", error)
        return known
    log.info("the operator's key was read again: its newest version is %d", found.current_version)
    return found
