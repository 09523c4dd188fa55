"""The search segments in the database: written once under a number of their own, and read one at a time.

Beside each stand the times between which its messages were sent, encrypted by themselves, so that a search
needs to read and decrypt none that is too old for it.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal
from crypto_agent.models import Account, SearchSegment
from crypto_agent.prepared_query import PreparedQuery
from crypto_agent.purposes import Context, Purpose
from crypto_agent.search_segments import Entry, Times, fill, times_of, write

_TIMES = struct.Struct(">QQ")
#: A segment without times, from before there were any, may hold messages of any time.
_ANY_TIME = Times(0, 2**64 - 1)

_OVERVIEW = PreparedQuery(
    lambda did: SearchSegment.objects.filter(account__did=did), ("number", "times", "key_version")
)
_SEALED_SQL = (
    f"SELECT sealed, key_version FROM {SearchSegment._meta.db_table} WHERE account_id = %s AND number = %s"  # noqa: S608
)


@dataclass(frozen=True, repr=False)
class Stored:
    """A segment of an account: its number, and when its messages were sent."""

    number: int
    times: Times


class SegmentGone(Exception):
    """Somebody put the segment together with others, or took a message out, since it was listed."""


def overview(keys: AccountKeys) -> list[Stored]:
    """All segments of the account, that with the newest message first; raises CannotUnseal."""
    listed = [
        Stored(number, _opened_times(keys, number, times, key_version))
        for number, times, key_version in _OVERVIEW.rows(keys.did)
    ]
    return sorted(listed, key=lambda stored: (stored.times.newest_ms, stored.number), reverse=True)


def plaintext(account: Account, keys: AccountKeys, number: int) -> bytes:
    """What is in a segment; raises SegmentGone, CannotUnseal."""
    with connection.cursor() as cursor:
        cursor.execute(_SEALED_SQL, [account.pk, number])
        row = cursor.fetchone()
    if row is None:
        raise SegmentGone
    # Since it was listed it may have been encrypted again, under a newer version.
    return keys.decrypt(_context(keys.did, number), bytes(row[0]), row[1])


def plaintexts(
    account: Account, keys: AccountKeys, *, fewer_than: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """The number and content of each segment, or of those with few messages, of an account that the caller
    has locked; what is added on the way is not among them."""
    rows = account.search_segments.order_by("number")
    if fewer_than is not None:
        rows = rows.filter(messages__lt=fewer_than)
    for number in list(rows.values_list("number", flat=True)):
        yield number, plaintext(account, keys, number)


def add_entries(
    account: Account, keys: AccountKeys, entries: Sequence[Entry], now: datetime, random: Random
) -> None:
    """Writes entries into new segments of an account that the caller has locked."""
    for run in fill(entries):
        account.last_search_segment += 1
        number = account.last_search_segment
        SearchSegment.objects.create(
            account=account,
            number=number,
            messages=len(run),
            times=keys.encrypt(_times_context(keys.did, number), _TIMES.pack(*times_of(run)), random),
            sealed=keys.encrypt(_context(keys.did, number), write(run), random),
            key_version=keys.current_version,
            created_at=now,
        )
    Account.objects.filter(pk=account.pk).update(last_search_segment=account.last_search_segment)


def encrypt_again(account: Account, keys: AccountKeys, numbers: Sequence[int], random: Random) -> int:
    """Encrypts those of the segments that are under former versions under the newest; how many there were.

    The caller has locked the account. One that does not open stays as it is.
    """
    rows = account.search_segments.filter(number__in=numbers, key_version__lt=keys.current_version)
    moved = 0
    for row in list(rows):
        context, times_context = _context(keys.did, row.number), _times_context(keys.did, row.number)
        try:
            content = keys.decrypt(context, bytes(row.sealed), row.key_version)
            times = row.times and keys.decrypt(times_context, bytes(row.times), row.key_version)
        except CannotUnseal:
            continue
        row.sealed = keys.encrypt(context, content, random)
        row.times = times and keys.encrypt(times_context, times, random)
        row.key_version = keys.current_version
        row.save(update_fields=["sealed", "times", "key_version"])
        moved += 1
    return moved


def _opened_times(keys: AccountKeys, number: int, times: bytes | None, key_version: int) -> Times:
    if times is None:
        return _ANY_TIME
    try:
        opened = keys.decrypt(_times_context(keys.did, number), bytes(times), key_version)
        return Times(*_TIMES.unpack(opened))
    except struct.error:
        raise CannotUnseal("not the times of a search segment") from None


def _context(did: str, number: int) -> Context:
    return Context(Purpose.SEARCH_SEGMENT, did, device=str(number))


def _times_context(did: str, number: int) -> Context:
    return Context(Purpose.SEARCH_SEGMENT_TIMES, did, device=str(number))
