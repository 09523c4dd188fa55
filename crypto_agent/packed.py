"""CBOR in place of JSON, for calls that carry many byte strings and small objects.

It says the same as the plain JSON would, with byte strings as they are, so a method's lexicon holds for both;
an answer comes in the form of its call.
"""

import io
from typing import Any, NoReturn

import cbor2

PACKED = "application/cbor"
#: The methods that take and give it.
PACKED_METHODS = frozenset(
    {"seal", "open", "archive", "readArchive", "indexMessages", "read", "readForExport"}
)

#: As deep as the schemas of lexicons may nest.
_MAX_DEPTH = 16


def pack(value: Any) -> bytes:
    """The packed form of a value with ``bytes`` in it."""
    return cbor2.dumps(value)


def unpack(body: bytes) -> Any:
    """What was packed; raises ValueError for what is not one item of bounded depth without tags."""
    stream = io.BytesIO(body)
    decoder = cbor2.CBORDecoder(
        stream,
        semantic_decoders=_NO_TAGS,
        tag_hook=_refuse,
        max_depth=_MAX_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
    )
    try:
        value = decoder.decode()
    except cbor2.CBORDecodeError as error:
        raise ValueError("not packed") from error
    if stream.tell() != len(body):
        raise ValueError("bytes after the value")
    return value


def _refuse(*_arguments: object) -> NoReturn:
    # Tags would make numbers of any size, times and patterns, which no lexicon knows.
    raise ValueError("a tag")


class _NoTags(dict[int, Any]):
    """Has the refusal for every tag, those too that the library would decode by itself."""

    def get(self, _tag: int, _default: Any = None) -> Any:
        return _refuse

    def __getitem__(self, _tag: int) -> Any:
        return _refuse

    def __contains__(self, _tag: object) -> bool:
        return True


_NO_TAGS = _NoTags()
