"""Searching an account's messages: a scan over encrypted segments that answers message ids alone.

New messages come in small segments, which are put together as their number grows. A message that is in two of
them, since indexing may be repeated, is found once.
"""

import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from crypto_agent.atsms import content as atsms_content
from crypto_agent.atsms.content import Content, ExternalPart, InlinePart, decode_content
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.client_values import Found, IndexItem, SearchFilters, SearchResults
from crypto_agent.content_at_rest import unseal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal, InvalidRequest, NoSuchAccount
from crypto_agent.key_store import account_keys, held_account_keys
from crypto_agent.links import link_facets
from crypto_agent.models import Account, SearchSegment
from crypto_agent.purposes import Context, Purpose
from crypto_agent.search_segments import (
    HAS_FILE,
    HAS_IMAGE,
    HAS_LINK,
    LONGEST_TEXT_BYTES,
    MOST_MESSAGES,
    Entry,
    Hit,
    Segment,
    Wanted,
    fill,
    may_hold,
    write,
)
from crypto_agent.search_text import fold, parse_query

#: So many segments that are not full are put together.
MOST_SMALL_SEGMENTS = 16
#: Segments that are in memory at once during a search: few, so that the next ones take the same memory.
_AT_ONCE = 2
_KINDS = {"file": HAS_FILE, "image": HAS_IMAGE, "link": HAS_LINK}
_CURSOR = re.compile(r"([0-9]{1,15})-([0-9a-f]{64})")


@dataclass(frozen=True, repr=False)
class _Numbered:
    number: int
    segment: Segment


def index_messages(did: str, items: Sequence[IndexItem], now: datetime, random: Random) -> list[str]:
    """Adds messages to the account's index, in the caller's transaction; the ids of those that can't be read.

    Messages without text, such as reactions, add nothing. Repeating it adds nothing that a search shows.
    """
    account, keys = held_account_keys(did)
    entries, unreadable = [], []
    for item in items:
        try:
            entry = _entry(item, decode_content(unseal_content(keys, item.content).content))
        except (CannotUnseal, AtsmsError):
            unreadable.append(item.content.message_id)
            continue
        if entry is not None:
            entries.append(entry)
    small = _small_segments(account, keys)
    known = {message_id for numbered in small for message_id in numbered.segment.message_ids()}
    new = [entry for entry in entries if entry.message_id not in known]
    if new:
        if len(small) >= MOST_SMALL_SEGMENTS:
            numbers = [numbered.number for numbered in small]
            new = [*(entry for numbered in small for entry in numbered.segment.entries()), *new]
            account.search_segments.filter(number__in=numbers).delete()
        add_entries(account, keys, new, now, random)
    return unreadable


def forget_messages(did: str, message_ids: Sequence[str], now: datetime, random: Random) -> int:
    """Removes messages from the index for good, in the caller's transaction; how many of them were in it."""
    account, keys = held_account_keys(did)
    unwanted = frozenset(message_ids)
    found: set[str] = set()
    for numbered in _segments(account, keys):
        here = unwanted.intersection(numbered.segment.message_ids())
        if here:
            found |= here
            kept = [entry for entry in numbered.segment.entries() if entry.message_id not in unwanted]
            # Under a number of its own, so that no older segment can be put back in its place.
            account.search_segments.filter(number=numbered.number).delete()
            add_entries(account, keys, kept, now, random)
    return len(found)


def empty_index(did: str) -> int:
    """Removes all segments of the account, in the caller's transaction; how many there were. Needs no key."""
    account = Account.objects.select_for_update().filter(did=did).first()
    if account is None:
        raise NoSuchAccount("this account has no keys here")
    return account.search_segments.all().delete()[0]


def search(did: str, query: str, filters: SearchFilters, limit: int, cursor: str | None) -> SearchResults:
    """The messages that have all terms of ``query`` in their text, newest first, ``limit`` at a time.

    Changes nothing. Raises InvalidRequest for a query that asks for nothing, or a cursor of another kind.
    """
    account, keys = account_keys(did)
    wanted = Wanted(
        parse_query(query),
        frozenset(filters.conversation_ids),
        frozenset(filters.sender_dids),
        _milliseconds(filters.after),
        _milliseconds(filters.before),
        sum(_KINDS[kind] for kind in set(filters.has)),
    )
    if not wanted.query.terms and filters == SearchFilters():
        raise InvalidRequest("query: blank")
    end = _cursor(cursor)
    newest = _Newest(limit + 1)
    for _, plaintext in _plaintexts(account, keys):
        if not may_hold(plaintext, wanted.query):
            continue
        for hit in Segment(plaintext).hits(wanted, newest.least_ms):
            if end is None or (hit.sent_ms, hit.message_id) < end:
                newest.add(hit)
    hits = newest.in_order()
    page = hits[:limit]
    following = f"{page[-1].sent_ms}-{page[-1].message_id}" if len(hits) > limit else None
    return SearchResults([Found(hit.conversation_id, hit.message_id) for hit in page], following)


class _Newest:
    """The newest of the hits that were added, every message once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[Hit] = []
        #: What is older is not among them any more.
        self.least_ms = 0

    def add(self, hit: Hit) -> None:
        if hit.sent_ms < self.least_ms or hit in self._heap:
            return
        heapq.heappush(self._heap, hit)
        if len(self._heap) > self._most:
            heapq.heappop(self._heap)
        if len(self._heap) == self._most:
            self.least_ms = self._heap[0].sent_ms

    def in_order(self) -> list[Hit]:
        return sorted(self._heap, reverse=True)


def _entry(item: IndexItem, content: Content) -> Entry | None:
    text = "\n".join(dict.fromkeys(_texts(content)))
    kinds = _kinds(content, text)
    folded = fold(text).encode()
    if not folded and not kinds:
        return None
    return Entry(
        message_id=item.content.message_id,
        conversation_id=item.content.conversation_id,
        sender_did=item.sender_did,
        sent_ms=_milliseconds(item.at) or 0,
        kinds=kinds,
        text=folded[:LONGEST_TEXT_BYTES],
    )


def _texts(content: Content) -> Iterator[str]:
    """What people see of a message: every text in it, its files' names, or what stands in for them."""
    for part in content.body or ():
        fields = part.meta if isinstance(part, ExternalPart) else part.fields
        for name in ("text", "filename", "title"):
            value = fields.get(name)
            if part.kind in atsms_content.RENDER and isinstance(value, str):
                yield value
    if content.degraded == "fallback":
        yield content.fallback


def _kinds(content: Content, text: str) -> int:
    parts = content.body or ()
    has_file = any(part.kind == atsms_content.FILE or isinstance(part, ExternalPart) for part in parts)
    has_link = bool(link_facets(text)) or any(
        isinstance(facet, dict) and facet.get("type") == "link" for part in parts for facet in _facets(part)
    )
    has_image = any(_media_type(part).startswith("image/") for part in parts)
    return (HAS_FILE if has_file else 0) | (HAS_LINK if has_link else 0) | (HAS_IMAGE if has_image else 0)


def _media_type(part: InlinePart | ExternalPart) -> str:
    """That of a file; empty for a part that is none."""
    if isinstance(part, ExternalPart):
        return part.media_type.lower()
    media_type = part.fields.get("contentType") if part.kind == atsms_content.FILE else None
    return media_type.lower() if isinstance(media_type, str) else ""


def _facets(part: InlinePart | ExternalPart) -> Sequence[object]:
    facets = part.fields.get("facets") if isinstance(part, InlinePart) else None
    return facets if isinstance(facets, list) else ()


def _small_segments(account: Account, keys: AccountKeys) -> list[_Numbered]:
    """The segments that are not half full."""
    rows = account.search_segments.filter(messages__lt=MOST_MESSAGES // 2).order_by("number")
    return [
        _Numbered(row.number, Segment(_opened(keys, row.number, bytes(row.sealed), row.key_version)))
        for row in rows
    ]


def _segments(account: Account, keys: AccountKeys) -> Iterator[_Numbered]:
    """All segments, those that were written last first; what is added on the way is not among them."""
    for number, plaintext in _plaintexts(account, keys):
        yield _Numbered(number, Segment(plaintext))


def _plaintexts(account: Account, keys: AccountKeys) -> Iterator[tuple[int, bytes]]:
    """The number of each segment and what is in it, as they all were when the first was asked for."""
    rows = account.search_segments.order_by("-number").values_list("number", "sealed", "key_version")
    for number, sealed, key_version in rows.iterator(_AT_ONCE):
        yield number, _opened(keys, number, bytes(sealed), key_version)


def _opened(keys: AccountKeys, number: int, sealed: bytes, key_version: int) -> bytes:
    return keys.decrypt(_context(keys.did, number), sealed, key_version)


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
            sealed=keys.encrypt(_context(keys.did, number), write(run), random),
            key_version=keys.current_version,
            created_at=now,
        )
    Account.objects.filter(pk=account.pk).update(last_search_segment=account.last_search_segment)


def _context(did: str, number: int) -> Context:
    return Context(Purpose.SEARCH_SEGMENT, did, device=str(number))


def _milliseconds(moment: datetime | None) -> int | None:
    return max(0, int(moment.timestamp() * 1000)) if moment is not None else None


def _cursor(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidRequest("cursor: not one from here")
    return int(found[1]), found[2]
