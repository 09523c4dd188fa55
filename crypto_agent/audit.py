"""The audit log: one entry for each answered request, chained by hashes, with no word of any content."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.db import DatabaseError, IntegrityError, connection
from django.db.models import Max

from crypto_agent.atsms import cbor
from crypto_agent.errors import AuditUnavailable, ReplayedToken
from crypto_agent.models import AuditEntry, AuditHead
from crypto_agent.prepared_query import PreparedQuery, PreparedStatement, time_for_row
from crypto_agent.write_turns import writing

FIRST_HASH = bytes(32)
_DOMAIN = "waxwing-audit:v1"
_WITH_TOKEN = PreparedQuery(lambda token_id: AuditEntry.objects.filter(token_id=token_id), ("sequence",))
_HEAD_TO_ADD_TO = PreparedQuery(
    AuditHead.objects.select_for_update, ("id", "sequence", "entry_hash"), arguments=0
)
_COLUMNS = ", ".join(
    connection.ops.quote_name(str(field.column)) for field in AuditEntry._meta.concrete_fields
)
_PLACES = ", ".join(["%s"] * len(AuditEntry._meta.concrete_fields))
_ADD = PreparedStatement(f"INSERT INTO {AuditEntry._meta.db_table} ({_COLUMNS}) VALUES ({_PLACES})")  # noqa: S608 (names)
_MOVE_HEAD = PreparedStatement(
    f"UPDATE {AuditHead._meta.db_table} SET sequence = %s, entry_hash = %s WHERE id = %s"  # noqa: S608
)
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


def by_command(purpose: str, count: int, now: datetime) -> Use:
    """What the operator does by a command, for no account in particular."""
    return Use(now, "command", "", purpose, count, "ok", None)


def is_there() -> bool:
    """Whether there is a log, as after ``migrate``; raises DatabaseError where the database can't say."""
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        # To ask would make the file, for whoever asks.
        return False
    return AuditHead._meta.db_table in connection.introspection.table_names()


def append(use: Use) -> int:
    """Adds an entry in the transaction at hand, or in one of its own; the entry's number.

    Raises ReplayedToken if the token was used before, AuditUnavailable if the entry can't be written.
    """
    with explained(use), writing():
        return add(use)


def add(use: Use) -> int:
    """The same as a part of the transaction at hand, which has to be undone if it raises.

    Whoever adds holds the lock of the head until its transaction ends, so that the chain can't fork.
    Raises AuditUnavailable; what that says of the token, ``explained`` tells.
    """
    try:
        # ValueError unless the head is one row.
        ((head_id, sequence, head_hash),) = _HEAD_TO_ADD_TO.rows()
        number, previous = int(sequence) + 1, bytes(head_hash)
        digest = _hash(number, previous, use)
        at = time_for_row(use.at)
        described = (use.caller, use.did, use.purpose, use.count, use.outcome, use.token_id)
        _ADD.changed(number, at, *described, previous, digest)
        if _MOVE_HEAD.changed(number, digest, head_id) != 1:
            raise DatabaseError("the head of the log is gone")
    except (DatabaseError, ValueError) as error:
        raise AuditUnavailable("the audit log can't be written") from error
    return number


@contextmanager
def explained(use: Use) -> Iterator[None]:
    """Around the transaction of ``add``: raises ReplayedToken where that is why nothing could be written."""
    try:
        yield
    except AuditUnavailable as error:
        if isinstance(error.__cause__, IntegrityError) and use.token_id is not None:
            check_unused(use.token_id)
        raise


def check_unused(token_id: str) -> None:
    """Raises ReplayedToken if a request with this token was answered before."""
    if _WITH_TOKEN.rows(token_id):
        raise ReplayedToken("this token was used before")


def entry_hash(entry: AuditEntry) -> bytes:
    """SHA-256 over deterministic CBOR of the entry's fields and the hash of the one before."""
    use = Use(entry.at, entry.caller, entry.did, entry.purpose, entry.count, entry.outcome, entry.token_id)
    return _hash(entry.sequence, bytes(entry.previous_hash), use)


def _hash(sequence: int, previous: bytes, use: Use) -> bytes:
    at = use.at.astimezone(UTC).isoformat(timespec="microseconds")
    described = (use.caller, use.did, use.purpose, use.count, use.outcome, use.token_id)
    return hashlib.sha256(cbor.encode((_DOMAIN, sequence, previous, at, *described))).digest()


def head_sequence() -> int:
    """How many entries the log has; raises DatabaseError where it can't be read."""
    return AuditHead.objects.values_list("sequence", flat=True).get()


def newest_entry() -> tuple[int, bytes]:
    """The number and hash of the newest entry, as the log's head has them; zeros while there is none."""
    sequence, digest = AuditHead.objects.values_list("sequence", "entry_hash").get()
    return sequence, bytes(digest)


def first_broken_link() -> BrokenLink | None:
    """Walks the chain up to its head; None if every entry follows from the one before, and none after it.

    A running agent may go on writing meanwhile: the walk then goes on to the head as it is at its end.
    """
    heads = list(AuditHead.objects.all()[:2])
    if len(heads) != 1:
        return BrokenLink(0, "the log has no head, or several")
    (head,) = heads
    broken = _first_broken_between(0, FIRST_HASH, head)
    if broken is not None:
        return broken
    # In this order: what was there before the head was read is up to it.
    last = AuditEntry.objects.aggregate(last=Max("sequence"))["last"] or 0
    newest = AuditHead.objects.get()
    there = AuditEntry.objects.filter(sequence__lte=last)
    beyond = there.exclude(sequence__range=(1, newest.sequence)).order_by("sequence").first()
    if beyond is not None:
        return BrokenLink(beyond.sequence, "it stands beyond the log's head")
    return _first_broken_between(head.sequence, bytes(head.entry_hash), newest)


def _first_broken_between(sequence: int, previous: bytes, head: AuditHead) -> BrokenLink | None:
    """Walks from the entry ``sequence``, whose hash is ``previous``, to the head."""
    try:
        for entry in _entries(sequence + 1, head.sequence):
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


def _entries(first: int, last: int) -> Iterator[AuditEntry]:
    """The entries from ``first`` to ``last`` in order; raises DatabaseError at one that can't be read."""
    for start in range(first, last + 1, _CHUNK):
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
