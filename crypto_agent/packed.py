"""MessagePack in place of JSON, for calls that carry many byte strings and small objects.

It says the same as the plain JSON would, with byte strings as they are, so a method's lexicon holds for both;
an answer comes in the form of its call.
"""

from typing import Any, NoReturn

import msgspec

from crypto_agent.plain_json import MOST_VALUES

PACKED = "application/vnd.msgpack"
#: The methods that take and give it.
PACKED_METHODS = frozenset(
    {"seal", "open", "archive", "readArchive", "indexMessages", "read", "readForExport"}
)


def pack(value: Any) -> bytes:
    """The packed form of a value with ``bytes`` in it; integers from -2**63 to 2**64 - 1."""
    return _ENCODER.encode(value)


def unpack(body: bytes, most_text: int | None = None) -> Any:
    """What ``pack`` made of a value of JSON with ``bytes`` in it, with at most ``most_text`` bytes of text.

    Raises ValueError for anything else: names twice or out of other types than text that were not written so,
    longer heads than needed, extensions, bytes after the value, more than some hundred values in each other,
    more than MOST_VALUES in all, or more text.
    """
    _check_amount(body, len(body) if most_text is None else most_text)
    try:
        value = msgspec.msgpack.decode(body, ext_hook=_refuse)
        # A name twice would be one: what is not written as it would be written here is not taken.
        if _ENCODER.encode(value) == body:
            return value
    except (msgspec.MsgspecError, RecursionError, TypeError, OverflowError) as error:
        raise ValueError("not packed") from error
    raise ValueError("not packed as it is here")


def _check_amount(body: bytes, most_text: int) -> None:
    """Raises ValueError for more than MOST_VALUES, or more bytes of text.

    What is not packed at all is for the decoder to find.
    """
    position, size, left = 0, len(body), MOST_VALUES
    while position < size:
        if left == 0:
            raise ValueError("too many values")
        left -= 1
        first = body[position]
        width, length_bytes = _HEADS[first]
        if length_bytes:
            length = int.from_bytes(body[position + 1 : position + 1 + length_bytes], "big")
            position += length
            if first in _LONG_TEXTS:
                most_text -= length
                if most_text < 0:
                    raise ValueError("too much text")
        position += width


def _head(first: int) -> tuple[int, int]:
    """The bytes that a value takes which begins with ``first``, and how many of them give the length of more.

    What is inside an array or a map are values of their own.
    """
    if 0xA0 <= first < 0xC0:
        return 1 + (first & 0x1F), 0
    if first in (0xC4, 0xC5, 0xC6, 0xD9, 0xDA, 0xDB):
        length_bytes = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}[first]
        return 1 + length_bytes, length_bytes
    if first in _NUMBERS_AND_HEADS:
        return 1 + _NUMBERS_AND_HEADS[first], 0
    return 1, 0


def _refuse(*_arguments: object) -> NoReturn:
    # Extensions would make what no lexicon knows.
    raise ValueError("an extension")


#: The first bytes of texts of more than 31 bytes.
_LONG_TEXTS = frozenset((0xD9, 0xDA, 0xDB))
_ENCODER = msgspec.msgpack.Encoder()
#: How many bytes follow the first of a number (MessagePack's float, uint and int), an array or a map.
_NUMBERS_AND_HEADS = {
    0xCA: 4,
    0xCB: 8,
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,
    0xDC: 2,
    0xDD: 4,
    0xDE: 2,
    0xDF: 4,
}
_HEADS = tuple(_head(first) for first in range(0x100))
