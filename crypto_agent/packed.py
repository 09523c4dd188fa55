"""MessagePack in place of JSON, for calls that carry many byte strings and small objects.

It says the same as the plain JSON would, with byte strings as they are, so a method's lexicon holds for both;
an answer comes in the form of its call.
"""

from typing import Any, NoReturn

import msgspec

PACKED = "application/vnd.msgpack"
#: The methods that take and give it.
PACKED_METHODS = frozenset(
    {"seal", "open", "archive", "readArchive", "indexMessages", "read", "readForExport"}
)


def pack(value: Any) -> bytes:
    """The packed form of a value with ``bytes`` in it; integers from -2**63 to 2**64 - 1."""
    return _ENCODER.encode(value)


def unpack(body: bytes) -> Any:
    """What ``pack`` made of a value of JSON with ``bytes`` in it.

    Raises ValueError for anything else: names twice or out of other types than text that were not written so,
    longer heads than needed, extensions, bytes after the value, more than some hundred values in each other.
    """
    try:
        value = msgspec.msgpack.decode(body, ext_hook=_refuse)
        # A name twice would be one: what is not written as it would be written here is not taken.
        if _ENCODER.encode(value) == body:
            return value
    except (msgspec.MsgspecError, RecursionError, TypeError, OverflowError) as error:
        raise ValueError("not packed") from error
    raise ValueError("not packed as it is here")


def _refuse(*_arguments: object) -> NoReturn:
    # Extensions would make what no lexicon knows.
    raise ValueError("an extension")


_ENCODER = msgspec.msgpack.Encoder()
