"""What a search segment holds: some hundred messages' folded text in one piece, who sent each, and when.

A segment is the CBOR of ``[1, message ids (32 bytes each), [conversation ids], [sender DIDs], places of these
two and kinds (2 + 2 + 1 bytes each), times (8 bytes each, ms), ends in the text (4 bytes each), text]``, its
numbers big-endian. Every message's text ends in a zero byte, which no folded text or term has in it.
"""

import struct
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

from crypto_agent.atsms import cbor
from crypto_agent.errors import CannotUnseal
from crypto_agent.search_text import Query

HAS_FILE, HAS_LINK, HAS_IMAGE, HAS_MENTION = 1, 2, 4, 8
#: What one segment holds at most, and what one message's text is cut to. The latter is more than a message
#: that fits an envelope has, unless folding makes it longer.
MOST_MESSAGES = 512
MOST_TEXT_BYTES = 512 * 1024
LONGEST_TEXT_BYTES = 128 * 1024

_VERSION = 1
_ID_BYTES = 32
_Fields: TypeAlias = tuple[int, bytes, list[bytes], list[str], bytes, bytes, bytes, bytes]
_PLACES = struct.Struct(">HHB")
_END = b"\x00"


@dataclass(frozen=True, repr=False)
class Entry:
    """One message in the index: ids in hex, ``sent_ms`` since 1970, ``kinds`` a sum of HAS_…, folded text."""

    message_id: str
    conversation_id: str
    sender_did: str
    sent_ms: int
    kinds: int
    text: bytes


@dataclass(frozen=True, repr=False)
class Wanted:
    """What a message has to be: all terms in its text, and whatever else is given."""

    query: Query
    #: In any of these, by any of these; anywhere and by anybody where there are none.
    conversation_ids: frozenset[str] = frozenset()
    sender_dids: frozenset[str] = frozenset()
    #: At or after, and before, in milliseconds since 1970.
    after_ms: int | None = None
    before_ms: int | None = None
    #: A sum of HAS_…
    kinds: int = 0


class Hit(NamedTuple):
    """A message that was found; in order of time, and by its id at one time."""

    sent_ms: int
    message_id: str
    conversation_id: str


class Times(NamedTuple):
    """When the oldest and the newest of some messages were sent, in milliseconds since 1970."""

    oldest_ms: int
    newest_ms: int

    def overlap(self, after_ms: int, before_ms: int | None) -> bool:
        """Whether a message at or after the one and before the other may be among them."""
        return self.newest_ms >= after_ms and (before_ms is None or self.oldest_ms < before_ms)


def times_of(entries: Sequence[Entry]) -> Times:
    """Those of at least one entry."""
    return Times(min(entry.sent_ms for entry in entries), max(entry.sent_ms for entry in entries))


def write(entries: Sequence[Entry]) -> bytes:
    """The segment of ``entries``, as many as ``fill`` gives at once."""
    conversations = list(dict.fromkeys(entry.conversation_id for entry in entries))
    senders = list(dict.fromkeys(entry.sender_did for entry in entries))
    texts = [entry.text + _END for entry in entries]
    ends, end = [], 0
    for text in texts:
        end += len(text)
        ends.append(end)
    count = len(entries)
    places = b"".join(
        _PLACES.pack(conversations.index(entry.conversation_id), senders.index(entry.sender_did), entry.kinds)
        for entry in entries
    )
    return cbor.encode(
        [
            _VERSION,
            b"".join(bytes.fromhex(entry.message_id) for entry in entries),
            [bytes.fromhex(conversation) for conversation in conversations],
            senders,
            places,
            struct.pack(f">{count}Q", *(entry.sent_ms for entry in entries)),
            struct.pack(f">{count}I", *ends),
            b"".join(texts),
        ]
    )


def fill(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Runs of entries, each of which one segment holds."""
    run: list[Entry] = []
    size = 0
    for entry in entries:
        if run and (len(run) == MOST_MESSAGES or size + len(entry.text) >= MOST_TEXT_BYTES):
            yield run
            run, size = [], 0
        run.append(entry)
        size += len(entry.text) + 1
    if run:
        yield run


def may_hold(plaintext: bytes, query: Query) -> bool:
    """False where no message of the segment has all terms: the text is in its plaintext as it is."""
    return all(term in plaintext for term in query.terms)


class Segment:
    """A segment's messages, read as far as a search needs them."""

    def __init__(self, plaintext: bytes) -> None:
        fields = cbor.decode_own(plaintext)
        if not isinstance(fields, list) or len(fields) != 8 or fields[0] != _VERSION:
            raise CannotUnseal("not a search segment")
        # Only the agent writes what opens as a segment: its fields have the types that ``write`` gave them.
        _, ids, conversations, senders, places, times, ends, text = cast(_Fields, fields)
        self._ids, self._conversations, self._senders = ids, conversations, senders
        self._places, self._times, self._text = places, times, text
        self.count = len(ids) // _ID_BYTES
        self._ends = struct.unpack(f">{self.count}I", ends)

    def message_ids(self) -> list[str]:
        return [self._id(index) for index in range(self.count)]

    def entries(self) -> Iterator[Entry]:
        """All messages, in the order in which they were written."""
        start = 0
        for index, end in enumerate(self._ends):
            conversation, sender, kinds = self._place(index)
            yield Entry(
                message_id=self._id(index),
                conversation_id=self._conversations[conversation].hex(),
                sender_did=self._senders[sender],
                sent_ms=self._sent_ms(index),
                kinds=kinds,
                text=self._text[start : end - 1],
            )
            start = end

    def hits(self, wanted: Wanted, least_ms: int = 0) -> Iterator[Hit]:
        """The messages that are ``wanted``, without those from before ``least_ms``."""
        times = struct.unpack(f">{self.count}Q", self._times)
        least_ms = max(least_ms, wanted.after_ms or 0)
        if not times or max(times) < least_ms:
            return
        in_these = {bytes.fromhex(each) for each in wanted.conversation_ids}
        conversations = _places_of(in_these, self._conversations)
        senders = _places_of(wanted.sender_dids, self._senders)
        if not conversations or not senders:
            return
        first, *others = wanted.query.terms or (b"",)
        for index in self._with(first):
            sent_ms = times[index]
            if sent_ms < least_ms or (wanted.before_ms is not None and sent_ms >= wanted.before_ms):
                continue
            start, end = self._ends[index - 1] if index else 0, self._ends[index]
            if any(self._text.find(term, start, end) < 0 for term in others):
                continue
            place, sender, kinds = self._place(index)
            if kinds & wanted.kinds == wanted.kinds and place in conversations and sender in senders:
                yield Hit(sent_ms, self._id(index), self._conversations[place].hex())

    def _with(self, term: bytes) -> Iterator[int]:
        """Which messages have ``term`` in their text, every one once."""
        if not term:
            yield from range(self.count)
            return
        position = self._text.find(term)
        while position >= 0:
            index = bisect_right(self._ends, position)
            yield index
            position = self._text.find(term, self._ends[index])

    def _id(self, index: int) -> str:
        return self._ids[index * _ID_BYTES : (index + 1) * _ID_BYTES].hex()

    def _sent_ms(self, index: int) -> int:
        return int.from_bytes(self._times[index * 8 : index * 8 + 8], "big")

    def _place(self, index: int) -> tuple[int, int, int]:
        conversation, sender, kinds = _PLACES.unpack_from(self._places, index * _PLACES.size)
        return conversation, sender, kinds


def _places_of(wanted: Collection[object], found: Sequence[object]) -> Collection[int]:
    """Which of those that are there are wanted; all of them where nothing is."""
    if not wanted:
        return range(len(found))
    return {place for place, each in enumerate(found) if each in wanted}
