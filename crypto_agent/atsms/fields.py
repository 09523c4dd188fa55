"""Fields of decoded content, each of the type that its place calls for; BadContent where it is not."""

from collections.abc import Mapping, Sequence

from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.errors import BadContent


def octets_of(value: CborValue, length: int | None, name: str) -> bytes:
    """``value`` as bytes, exactly ``length`` of them where a length is given."""
    if not isinstance(value, bytes) or (length is not None and len(value) != length):
        raise BadContent(f"{name} is not {'' if length is None else f'{length} '}bytes")
    return value


def text_of(value: CborValue, name: str) -> str:
    """``value`` as text."""
    if not isinstance(value, str):
        raise BadContent(f"{name} is not text")
    return value


def integer_of(value: CborValue, name: str) -> int:
    """``value`` as an integer, which false and true are not."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadContent(f"{name} is not an integer")
    return value


def boolean_of(value: CborValue, name: str) -> bool:
    """``value`` as false or true."""
    if not isinstance(value, bool):
        raise BadContent(f"{name} is not true or false")
    return value


def array_of(value: CborValue, name: str) -> Sequence[CborValue]:
    """``value`` as an array of any length."""
    if not isinstance(value, (list, tuple)):
        raise BadContent(f"{name} is not an array")
    return value


def text_map_of(value: CborValue, name: str) -> dict[str, CborValue]:
    """``value`` as a map whose keys are all text."""
    if not isinstance(value, (dict, Mapping)):
        raise BadContent(f"{name} is not a map")
    fields: dict[str, CborValue] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise BadContent(f"a key of {name} is not text")
        fields[key] = item
    return fields
