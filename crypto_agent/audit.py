"""The audit log: one entry for each answered request, chained by hashes, with no word of any content."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import DatabaseError, IntegrityError, connection

from crypto_agent.atsms import cbor
from crypto_agent.errors import AuditUnavailable, ReplayedToken
from crypto_agent.models import AuditEntry, AuditHead
from crypto_agent.prepared_query import PreparedQuery
from crypto_agent.write_turns import writing

FIRST_HASH = bytes(32)
_DOMAIN = "waxwing-audit:v1"
_WITH_TOKEN = PreparedQuery(lambda token_id: AuditEntry.objects.filter(token_id=token_id), ("sequence",))
_HEAD_TO_ADD_TO = PreparedQuery(
    AuditHead.objects.select_for_update, ("id", "sequence", "entry_hash"), arguments=()
)
# Every call writes these two, and Django takes some ten times as long to put one together as it takes to run.
_COLUMNS = [connection.ops.quote_name(str(field.column)) for field in AuditEntry._meta.concrete_fields]
_INSERT_SQL = (
    f"INSERT INTO {AuditEntry._meta.db_table} ({', '.join(_COLUMNS)})"  # noqa: S608 (names of columns)
    f" VALUES ({', '.join(['%s'] * len(_COLUMNS))})"
)
_MOVE_HEAD_SQL = f"UPDATE {AuditHead._meta.db_table} SET sequence = %s, entry_hash = %s WHERE id = %s"  # noqa: S608
#: Entries read at a time while the chain is walked.
_CHUNK = 1000


@dataclass(frozen=True)
class Use:
    """Who asked, for which account, what, for how many things, and how it ended."""

    at: datetime
    caller: str
    did: str
    purpose: str
    count: int
    outcome: str
    token_id: str | None


@dataclass(frozen=True)
class BrokenLink:
    """The first entry that does not follow from the one before, and what is wrong with it."""

    sequence: int
    reason: str


def append(use: Use) -> AuditEntry:
    """Adds an entry in the transaction at hand, or in one of its own.

    Whoever adds holds the lock of the head until its transaction ends, so that the chain can't fork.
    Raises ReplayedToken if the token was used before, AuditUnavailable if the entry can't be written.
    """
    try:
        with writing():
            # ValueError unless the head is one row.
            ((head_id, sequence, previous_hash),) = _HEAD_TO_ADD_TO.rows()
            entry = AuditEntry(
                sequence=sequence + 1,
                at=use.at,
                caller=use.caller,
                did=use.did,
                purpose=use.purpose,
                count=use.count,
                outcome=use.outcome,
                token_id=use.token_id,
                previous_hash=bytes(previous_hash),
            )
            entry.entry_hash = entry_hash(entry)
            _write(entry, head_id)
    except IntegrityError as error:
        if use.token_id is not None:
            check_unused(use.token_id)
        raise AuditUnavailable("the audit log can't be written") from error
    except (DatabaseError, ValueError) as error:
        raise AuditUnavailable("the audit log can't be written") from error
    return entry


def _write(entry: AuditEntry, head_id: int) -> None:
    """The entry, and the head that names it; raises DatabaseError where either can't be written."""
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT_SQL,
            [
                field.get_db_prep_save(getattr(entry, field.attname), connection)
                for field in AuditEntry._meta.concrete_fields
            ],
        )
        cursor.execute(_MOVE_HEAD_SQL, [entry.sequence, bytes(entry.entry_hash), head_id])
        if cursor.rowcount != 1:
            raise DatabaseError("the head of the log is gone")


def check_unused(token_id: str) -> None:
    """Raises ReplayedToken if a request with this token was answered before."""
    if _WITH_TOKEN.rows(token_id):
        raise ReplayedToken("this token was used before")


def entry_hash(entry: AuditEntry) -> bytes:
    """SHA-256 over deterministic CBOR of the entry's fields and the hash of the one before."""
    return hashlib.sha256(
        cbor.encode(
            [
                _DOMAIN,
                entry.sequence,
                bytes(entry.previous_hash),
                entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
                entry.caller,
                entry.did,
                entry.purpose,
                entry.count,
                entry.outcome,
                entry.token_id,
            ]
        )
    ).digest()


def head_sequence() -> int:
    """How many entries the log has; raises DatabaseError where it can't be read."""
    return AuditHead.objects.values_list("sequence", flat=True).get()


def first_broken_link() -> BrokenLink | None:
    """Walks the chain up to its head; None if every entry follows from the one before."""
    head = AuditHead.objects.get()
    sequence, previous = 0, FIRST_HASH
    try:
        for entry in _entries(head.sequence):
            if entry.sequence != sequence + 1:
                break
            fault = _fault(entry, previous)
            if fault is not None:
                return BrokenLink(entry.sequence, fault)
            sequence, previous = entry.sequence, bytes(entry.entry_hash)
    except (DatabaseError, ValueError):
        return BrokenLink(sequence + 1, "the entry can't be read")
    if sequence != head.sequence:
        return BrokenLink(sequence + 1, "the entry is missing")
    if bytes(head.entry_hash) != previous:
        return BrokenLink(sequence, "the log's head names another hash")
    return None


def _entries(last: int) -> Iterator[AuditEntry]:
    """The entries up to ``last`` in order; raises DatabaseError at the first that can't be read."""
    for start in range(1, last + 1, _CHUNK):
        end = min(start + _CHUNK - 1, last)
        chunk = AuditEntry.objects.filter(sequence__range=(start, end)).order_by("sequence")
        try:
            entries = list(chunk)
        except DatabaseError:
            for sequence in range(start, end + 1):
                yield from AuditEntry.objects.filter(sequence=sequence)
        else:
            yield from entries


def _fault(entry: AuditEntry, previous: bytes) -> str | None:
    try:
        if bytes(entry.previous_hash) != previous:
            return "it does not name the hash of the entry before it"
        if bytes(entry.entry_hash) != entry_hash(entry):
            return "its fields do not give its hash"
    except (TypeError, ValueError, AttributeError):
        # A column can hold another type than its own after somebody wrote to it.
        return "its fields are not those of an entry"
    return None
