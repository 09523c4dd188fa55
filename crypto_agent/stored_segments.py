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
_SEALED_SQL = f"SELECT sealed FROM {SearchSegment._meta.db_table} WHERE account_id = %s AND number = %s"  # noqa: S608


@dataclass(frozen=True, repr=False)
class Stored:
    """A segment of an account: its number, the version of its key, and when its messages were sent."""

    number: int
    key_version: int
    times: Times


class SegmentGone(Exception):
    """Somebody put the segment together with others, or took a message out, since it was listed."""


def overview(keys: AccountKeys) -> list[Stored]:
    """All segments of the account, that with the newest message first; raises CannotUnseal."""
    listed = [
        Stored(number, key_version, _opened_times(keys, number, times, key_version))
        for number, times, key_version in _OVERVIEW.rows(keys.did)
    ]
    return sorted(listed, key=lambda stored: (stored.times.newest_ms, stored.number), reverse=True)


def plaintext(account: Account, keys: AccountKeys, stored: Stored) -> bytes:
    """What is in a segment; raises SegmentGone, CannotUnseal."""
    with connection.cursor() as cursor:
        cursor.execute(_SEALED_SQL, [account.pk, stored.number])
        row = cursor.fetchone()
    if row is None:
        raise SegmentGone
    return keys.decrypt(_context(keys.did, stored.number), bytes(row[0]), stored.key_version)


def plaintexts(
    account: Account, keys: AccountKeys, *, fewer_than: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """The number and content of each segment, or of those with few messages, of an account that the caller
    has locked; what is added on the way is not among them."""
    rows = account.search_segments.order_by("number")
    if fewer_than is not None:
        rows = rows.filter(messages__lt=fewer_than)
    for number, key_version in list(rows.values_list("number", "key_version")):
        yield number, plaintext(account, keys, Stored(number, key_version, _ANY_TIME))


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
