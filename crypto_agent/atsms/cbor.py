"""Deterministic CBOR (RFC 8949 §4.2.1), restricted as protocol §3 says.

Only unsigned integers up to 2**53 - 1, byte strings, text strings, arrays, maps with unsigned or text
keys, false, true and null. One value has exactly one encoding, so the reader refuses every other one:
``encode(decode(data)) == data`` whenever ``decode`` returns.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import cbor2

from crypto_agent.atsms.errors import NotCanonical, TooLarge

CborValue: TypeAlias = (
    "int | bytes | str | bool | Sequence[CborValue]"
    " | Mapping[int | str, CborValue] | Mapping[str, CborValue] | None"
)

MAX_DEPTH = 16
MAX_INTEGER = 2**53 - 1
MAX_BYTES = 1 << 20
#: An empty map takes one byte here, and 72 of memory.
MAX_VALUES = 200_000

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES = {0xF4: False, 0xF5: True, 0xF6: None}
_SMALLEST_OF_WIDTH = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}


def _short_head(major: int, argument: int) -> bytes:
    return bytes((major << 5 | argument,) if argument < 24 else (major << 5 | 24, argument))


_SHORT_HEADS = tuple(tuple(_short_head(major, argument) for argument in range(0x100)) for major in range(8))
_SHORT_TEXT_HEADS = _SHORT_HEADS[_TEXT]


def head(major: int, argument: int) -> bytes:
    """The initial byte and shortest argument of an item (RFC 8949 §3)."""
    if argument < 0x100:
        return _SHORT_HEADS[major][argument]
    if argument < 0x10000:
        return bytes((major << 5 | 25,)) + argument.to_bytes(2, "big")
    if argument < 0x100000000:
        return bytes((major << 5 | 26,)) + argument.to_bytes(4, "big")
    return bytes((major << 5 | 27,)) + argument.to_bytes(8, "big")


def text(value: str) -> bytes:
    """The encoding of a text; raises NotCanonical for a lone surrogate in it."""
    try:
        octets = value.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("text with a lone surrogate") from error
    size = len(octets)
    return (_SHORT_TEXT_HEADS[size] if size < 0x100 else head(_TEXT, size)) + octets


def encode(value: CborValue) -> bytes:
    """The one encoding of ``value``; raises NotCanonical for what the restricted model can't hold."""
    pieces: list[bytes] = []
    _append(value, pieces, MAX_DEPTH)
    return b"".join(pieces)


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> CborValue:
    """The value that ``data`` encodes: lists, dicts, ``bytes``, ``str``, ``int``, ``bool``, ``None``.

    Raises TooLarge above ``max_bytes`` or MAX_VALUES, and NotCanonical for anything but the one valid
    encoding: longer heads, indefinite lengths, floats, tags, negative or large integers, keys out of order or
    twice, text that is not UTF-8, nesting deeper than 16, truncation, trailing bytes.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"{len(data)} bytes of CBOR, more than {max_bytes}")
    if len(data) > MAX_VALUES:
        _check_count(data)
    value, end = _decode_item(data, 0, MAX_DEPTH)
    if end != len(data):
        raise NotCanonical("bytes after the end of the value")
    return value


def decode_own(data: bytes) -> CborValue:
    """What ``encode`` made of a value, out of a ciphertext that nobody else could have written.

    Nothing but truncation is refused here: it is for bytes that were checked before they were encrypted, and
    were authenticated since. Raises NotCanonical.
    """
    try:
        value: CborValue = cbor2.loads(data, allow_indefinite=False, max_depth=MAX_DEPTH + 1)
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise NotCanonical("not what was encoded here") from error
    return value


def byte_strings(data: bytes, position: int) -> list[bytes] | None:
    """The byte strings, and nothing else, that ``data`` consists of from ``position`` on.

    None where anything else is there or a head is longer than it needs: ``decode`` then says what it is.
    """
    found: list[bytes] = []
    size = len(data)
    while position < size:
        initial = data[position]
        position += 1
        if 0x40 <= initial < 0x58:
            length = initial - 0x40
        elif 0x58 <= initial <= 0x5A:
            width = 1 << (initial - 0x58)
            length = int.from_bytes(data[position : position + width], "big")
            position += width
            if length < _SMALLEST_OF_WIDTH[width]:
                return None
        else:
            return None
        end = position + length
        if end > size:
            return None
        found.append(data[position:end])
        position = end
    return found


def _append(value: CborValue, pieces: list[bytes], depth_left: int) -> None:
    kind = type(value)
    if kind is str:
        pieces.append(text(value))  # type: ignore[arg-type]
    elif kind is int:
        pieces.append(_encode_integer(value))  # type: ignore[arg-type]
    elif isinstance(value, bytes):
        pieces.append(head(_BYTES, len(value)))
        pieces.append(value)
    elif isinstance(value, str):
        pieces.append(text(value))
    elif value is None:
        pieces.append(b"\xf6")
    elif isinstance(value, bool):
        pieces.append(b"\xf5" if value else b"\xf4")
    elif isinstance(value, int):
        pieces.append(_encode_integer(value))
    elif depth_left == 0:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH}")
    elif isinstance(value, list):
        _append_items(value, pieces, depth_left - 1)
    elif isinstance(value, dict | Mapping):
        pieces.append(head(_MAP, len(value)))
        for key, item in sorted((_encode_key(key), item) for key, item in value.items()):
            pieces.append(key)
            _append(item, pieces, depth_left - 1)
    elif isinstance(value, Sequence):
        _append_items(value, pieces, depth_left - 1)
    else:
        raise NotCanonical(f"a {type(value).__name__} has no encoding here")


def _append_items(items: Sequence[CborValue], pieces: list[bytes], depth_left: int) -> None:
    pieces.append(head(_ARRAY, len(items)))
    for item in items:
        _append(item, pieces, depth_left)


def _encode_key(key: object) -> bytes:
    if isinstance(key, str):
        return text(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return _encode_integer(key)
    raise NotCanonical("a map key that is neither an unsigned integer nor text")


def _encode_integer(value: int) -> bytes:
    if not 0 <= value <= MAX_INTEGER:
        raise NotCanonical("an integer outside 0 to 2**53 - 1")
    return head(_UNSIGNED, value)


def _check_count(data: bytes) -> None:
    """Raises TooLarge for more than MAX_VALUES; what is no CBOR at all is for who decodes it to find."""
    position, size, left = 0, len(data), MAX_VALUES
    while position < size:
        if left == 0:
            raise TooLarge(f"more than {MAX_VALUES} values of CBOR")
        left -= 1
        major, low = data[position] >> 5, data[position] & 0x1F
        position += 1
        argument, width = low, 0
        if 24 <= low <= 27:
            width = 1 << (low - 24)
            argument = int.from_bytes(data[position : position + width], "big")
        # What is inside an array or a map are values of their own.
        position += width + (argument if major in (_BYTES, _TEXT) else 0)


def _decode_item(data: bytes, start: int, depth_left: int) -> tuple[CborValue, int]:
    if start >= len(data):
        raise NotCanonical("ends in the middle of a value")
    initial = data[start]
    major, low = initial >> 5, initial & 0x1F
    if major == _SIMPLE:
        if initial not in _SIMPLE_VALUES:
            raise NotCanonical("a float, or a simple value other than false, true and null")
        return _SIMPLE_VALUES[initial], start + 1
    if major in (_NEGATIVE, _TAG):
        raise NotCanonical("a negative integer or a tag")
    argument, position = (low, start + 1) if low < 24 else _decode_argument(data, start + 1, low)
    if major == _UNSIGNED:
        if argument > MAX_INTEGER:
            raise NotCanonical("an integer above 2**53 - 1")
        return argument, position
    # Every byte, item or entry still to come takes at least one byte.
    if argument > len(data) - position:
        raise NotCanonical("ends in the middle of a value")
    if major == _BYTES:
        return data[position : position + argument], position + argument
    if major == _TEXT:
        return _decode_text(data[position : position + argument]), position + argument
    if depth_left == 0:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH}")
    if major == _ARRAY:
        return _decode_array(data, position, argument, depth_left - 1)
    return _decode_map(data, position, argument, depth_left - 1)


def _decode_argument(data: bytes, position: int, low: int) -> tuple[int, int]:
    if low > 27:
        raise NotCanonical("an indefinite length, or a reserved one")
    width = 1 << (low - 24)
    end = position + width
    if end > len(data):
        raise NotCanonical("ends in the middle of a value")
    argument = int.from_bytes(data[position:end], "big")
    if argument < _SMALLEST_OF_WIDTH[width]:
        raise NotCanonical("a number in more bytes than it needs")
    return argument, end


def _decode_text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        raise NotCanonical("text that is not UTF-8") from error


def _decode_array(data: bytes, position: int, count: int, depth_left: int) -> tuple[CborValue, int]:
    items: list[CborValue] = []
    size = len(data)
    for _ in range(count):
        initial = data[position] if position < size else _TAG << 5
        if initial < 0x18:
            # Small numbers, and below short strings, are most of what there is: a call less for each.
            items.append(initial)
            position += 1
        elif 0x40 <= initial < 0x58 and position + initial - 0x3F <= size:
            start = position + 1
            position = start + initial - 0x40
            items.append(data[start:position])
        elif initial in _SIMPLE_VALUES:
            items.append(_SIMPLE_VALUES[initial])
            position += 1
        else:
            item, position = _decode_item(data, position, depth_left)
            items.append(item)
    return items, position


def _decode_map(data: bytes, position: int, count: int, depth_left: int) -> tuple[CborValue, int]:
    entries: dict[int | str, CborValue] = {}
    previous = b""
    for _ in range(count):
        # A key has no depth to spend: an array or a map can't be one.
        key, end = _decode_item(data, position, 0)
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise NotCanonical("a map key that is neither an unsigned integer nor text")
        encoded = data[position:end]
        if encoded <= previous:
            raise NotCanonical("map keys out of order, or one of them twice")
        previous = encoded
        entries[key], position = _decode_item(data, end, depth_left)
    return entries, position
