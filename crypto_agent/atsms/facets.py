"""Facets: mentions, links and tags over byte ranges of a text's UTF-8 (protocol §5)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crypto_agent.atsms.cbor import CborValue
from crypto_agent.atsms.errors import BadContent

#: Type of a facet, and the field that holds what it points at.
VALUE_FIELDS = {"mention": "did", "link": "uri", "tag": "tag"}


@dataclass(frozen=True, slots=True, repr=False)
class Facet:
    """``start`` and ``end`` count bytes of the UTF-8 text; ``value`` is a DID, a URI or a tag."""

    start: int
    end: int
    type: str
    value: str


def facet_maps(facets: Iterable[Facet]) -> list[CborValue]:
    """Facets as they stand in a text part; BadContent for a type that is not known."""
    maps: list[CborValue] = []
    for facet in facets:
        if facet.type not in VALUE_FIELDS:
            raise BadContent(f"no facet has the type {facet.type!r}")
        maps.append(
            {
                "byteStart": facet.start,
                "byteEnd": facet.end,
                "type": facet.type,
                VALUE_FIELDS[facet.type]: facet.value,
            }
        )
    return maps


def check_facets(text: str, facets: CborValue) -> tuple[Facet, ...]:
    """The facets of ``text`` that are understood; types from later versions are left out.

    Raises BadContent for a range that is empty, past the end, or cuts a character in two.
    """
    if not isinstance(facets, (list, tuple)):
        raise BadContent("facets are not an array")
    octets = text.encode()
    return tuple(facet for value in facets if (facet := _facet(octets, value)) is not None)


def _facet(octets: bytes, value: CborValue) -> Facet | None:
    if not isinstance(value, (dict, Mapping)):
        raise BadContent("a facet is not a map")
    start, end = value.get("byteStart"), value.get("byteEnd")
    if type(start) is not int or type(end) is not int:
        raise BadContent("a facet's range is not two integers")
    if not 0 <= start < end <= len(octets):
        raise BadContent("a facet's range does not lie in its text")
    if not (_starts_character(octets, start) and _starts_character(octets, end)):
        raise BadContent("a facet's range cuts a character in two")
    facet_type = value.get("type")
    if not isinstance(facet_type, str):
        raise BadContent("a facet has no type")
    if facet_type not in VALUE_FIELDS:
        return None
    target = value.get(VALUE_FIELDS[facet_type])
    if not isinstance(target, str):
        raise BadContent(f"a {facet_type} facet without its {VALUE_FIELDS[facet_type]}")
    return Facet(start, end, facet_type, target)


def _starts_character(octets: bytes, position: int) -> bool:
    return position == len(octets) or octets[position] & 0xC0 != 0x80
