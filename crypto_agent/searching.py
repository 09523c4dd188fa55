"""Searching an account's messages: a scan over encrypted segments that answers message ids alone.

New messages come in small segments, which are put together as their number grows. A message that is in two of
them, since indexing may be repeated, is found once.
"""

import heapq
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from crypto_agent import stored_segments
from crypto_agent.atsms import content as atsms_content
from crypto_agent.atsms.content import Content, ExternalPart, InlinePart, decode_own_content
from crypto_agent.atsms.errors import AtsmsError
from crypto_agent.client_values import Found, IndexItem, SearchFilters, SearchResults
from crypto_agent.content_at_rest import unseal_content
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal, DatabaseUnavailable, InvalidRequest, NoSuchAccount
from crypto_agent.key_store import account_keys, held_account_keys
from crypto_agent.links import link_facets
from crypto_agent.models import Account
from crypto_agent.part_values import mentions
from crypto_agent.search_segments import (
    HAS_FILE,
    HAS_IMAGE,
    HAS_LINK,
    HAS_MENTION,
    LONGEST_TEXT_BYTES,
    MOST_MESSAGES,
    Entry,
    Hit,
    Segment,
    Wanted,
    may_hold,
)
from crypto_agent.search_text import fold, parse_query
from crypto_agent.stored_segments import SegmentGone

#: So many segments that are not full are put together.
MOST_SMALL_SEGMENTS = 16
#: How often a search begins again because segments were replaced while it went through them.
_ATTEMPTS = 5
_KINDS = {"file": HAS_FILE, "image": HAS_IMAGE, "link": HAS_LINK, "mention": HAS_MENTION}
_CURSOR = re.compile(r"([0-9]{1,15})-([0-9a-f]{64})")


def index_messages(did: str, items: Sequence[IndexItem], now: datetime, random: Random) -> list[str]:
    """Adds messages to the account's index, in the caller's transaction; the ids of those that can't be read.

    Messages without text, such as reactions, add nothing. Repeating it adds nothing that a search shows.
    """
    account, keys = held_account_keys(did)
    entries, unreadable = [], []
    for item in items:
        try:
            entry = _entry(did, item, decode_own_content(unseal_content(keys, item.content).content))
        except (CannotUnseal, AtsmsError):
            unreadable.append(item.content.message_id)
            continue
        if entry is not None:
            entries.append(entry)
    small = {
        number: Segment(plaintext)
        for number, plaintext in stored_segments.plaintexts(account, keys, fewer_than=MOST_MESSAGES // 2)
    }
    known = {message_id for segment in small.values() for message_id in segment.message_ids()}
    new = [entry for entry in entries if entry.message_id not in known]
    if new:
        if len(small) >= MOST_SMALL_SEGMENTS:
            new = [*(entry for segment in small.values() for entry in segment.entries()), *new]
            account.search_segments.filter(number__in=list(small)).delete()
        stored_segments.add_entries(account, keys, new, now, random)
    return unreadable


def forget_messages(did: str, message_ids: Sequence[str], now: datetime, random: Random) -> int:
    """Removes messages from the index for good, in the caller's transaction; how many of them were in it."""
    account, keys = held_account_keys(did)
    unwanted = frozenset(message_ids)
    found: set[str] = set()
    for number, plaintext in stored_segments.plaintexts(account, keys):
        segment = Segment(plaintext)
        here = unwanted.intersection(segment.message_ids())
        if here:
            found |= here
            kept = [entry for entry in segment.entries() if entry.message_id not in unwanted]
            # Under a number of its own, so that no older segment can be put back in its place.
            account.search_segments.filter(number=number).delete()
            stored_segments.add_entries(account, keys, kept, now, random)
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
    hits = _newest_hits(account, keys, wanted, end, limit + 1)
    page = hits[:limit]
    following = f"{page[-1].sent_ms}-{page[-1].message_id}" if len(hits) > limit else None
    return SearchResults([Found(hit.conversation_id, hit.message_id) for hit in page], following)


def _newest_hits(
    account: Account, keys: AccountKeys, wanted: Wanted, end: tuple[int, str] | None, most: int
) -> list[Hit]:
    for _ in range(_ATTEMPTS):
        newest = _Newest(most)
        with suppress(SegmentGone):
            _look_through(account, keys, wanted, end, newest)
            return newest.in_order()
    raise DatabaseUnavailable("the index changes all the time")


def _look_through(
    account: Account, keys: AccountKeys, wanted: Wanted, end: tuple[int, str] | None, newest: "_Newest"
) -> None:
    """Adds what is wanted and comes before ``end``; raises SegmentGone."""
    before_ms = wanted.before_ms
    if end is not None:
        before_ms = end[0] + 1 if before_ms is None else min(before_ms, end[0] + 1)
    for stored in stored_segments.overview(keys):
        least_ms = max(newest.least_ms, wanted.after_ms or 0)
        if stored.times.newest_ms < least_ms:
            # All further ones are older still.
            break
        if not stored.times.overlap(least_ms, before_ms):
            continue
        plaintext = stored_segments.plaintext(account, keys, stored.number)
        if not may_hold(plaintext, wanted.query):
            continue
        for hit in Segment(plaintext).hits(wanted, newest.least_ms):
            if end is None or (hit.sent_ms, hit.message_id) < end:
                newest.add(hit)


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


def _entry(did: str, item: IndexItem, content: Content) -> Entry | None:
    text = "\n".join(dict.fromkeys(_texts(content)))
    kinds = _kinds(content, text)
    if item.sender_did != did and mentions(content, did):
        kinds |= HAS_MENTION
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


def _milliseconds(moment: datetime | None) -> int | None:
    return max(0, int(moment.timestamp() * 1000)) if moment is not None else None


def _cursor(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidRequest("cursor: not one from here")
    return int(found[1]), found[2]
