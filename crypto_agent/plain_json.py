"""JSON as the calls carry it: written from values with ``bytes`` in them, and read within bounds."""

import json
from typing import Any, NoReturn

from crypto_agent.atsms.json_bytes import to_json

#: In one call: a message to a thousand devices names some 13,000. Each takes up to 230 bytes of memory, and
#: as little as one byte of JSON.
MOST_VALUES = 50_000
#: Of text that is not plain ASCII, in one call: a single wide character makes four bytes of each of a text's.
MOST_WIDE_BYTES = 4 << 20


def plain(value: Any) -> bytes:
    """The JSON of a value with ``bytes`` in it, in base64."""
    return json.dumps(value, default=_in_base64).encode()


def read_plain(body: bytes) -> Any:
    """The value that JSON holds; raises ValueError for anything else, a name twice, NaN, too many values or
    too much text that is not ASCII."""
    # Each value but the first comes after one of these. Those in text count too, which has few of them.
    if sum(body.count(sign) for sign in (b"[", b"{", b",")) > MOST_VALUES:
        raise ValueError("too many values")
    # What is long is base64.
    if len(body) > MOST_WIDE_BYTES and (not body.isascii() or b"\\u" in body):
        raise ValueError("too much text")
    try:
        return json.loads(body, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("values too deep in each other") from error


def _in_base64(item: object) -> dict[str, str]:
    if not isinstance(item, bytes):
        raise TypeError(f"a {type(item).__name__} is no JSON")
    return to_json(item)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name twice in one object")
    return members


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and infinities are not JSON")
