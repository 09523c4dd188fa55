"""Elements of ASN.1: written as DER, read as DER or BER (X.690), no deeper than they are asked for."""

from typing import NamedTuple

from asn1crypto import parser

from crypto_agent.atsms.errors import BadCms

INTEGER, BIT_STRING, OCTET_STRING, NULL, OBJECT_IDENTIFIER = 0x02, 0x03, 0x04, 0x05, 0x06
SEQUENCE, SET = 0x30, 0x31
#: No structure read here comes near this many elements side by side; a recipient list has some 210.
MAX_CHILDREN = 2048


class Element(NamedTuple):
    """One element: its identifier octet, its contents, and all of it as it was read."""

    tag: int
    contents: bytes
    encoded: bytes


def write(tag: int, *contents: bytes) -> bytes:
    """The DER element of ``tag`` (its identifier octet) with ``contents`` joined."""
    body = b"".join(contents)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def context(number: int, *contents: bytes, constructed: bool = True) -> bytes:
    """The DER element with the context-specific tag ``number``."""
    return write((0xA0 if constructed else 0x80) | number, *contents)


def read(data: bytes, tag: int | None = None) -> Element:
    """The one element that ``data`` consists of; BadCms where it doesn't, or has another tag."""
    element, rest = _first(data)
    if rest:
        raise BadCms("bytes after the end of an element")
    if tag is not None and element.tag != tag:
        raise BadCms("an element of another type than expected")
    return element


def children(element: Element, tag: int | None = None) -> list[Element]:
    """The elements inside a constructed ``element``; BadCms unless it has ``tag``, where given."""
    if tag is not None and element.tag != tag:
        raise BadCms("an element of another type than expected")
    if not element.tag & 0x20:
        raise BadCms("a primitive element where a constructed one is expected")
    found = []
    rest = element.contents
    while rest:
        child, rest = _first(rest)
        found.append(child)
        if len(found) > MAX_CHILDREN:
            raise BadCms(f"more than {MAX_CHILDREN} elements side by side")
    return found


def only_child(element: Element, tag: int) -> Element:
    """The single element inside an explicitly tagged one; BadCms unless it is constructed so."""
    found = children(element, tag)
    if len(found) != 1:
        raise BadCms("not exactly one element where one is expected")
    return found[0]


def octets(element: Element, tag: int = OCTET_STRING) -> bytes:
    """The value of an octet string with the identifier ``tag``, in one piece or in BER's chunks."""
    if element.tag == tag:
        return element.contents
    if element.tag != tag | 0x20:
        raise BadCms("an element of another type than an octet string")
    chunks = children(element)
    if any(chunk.tag != OCTET_STRING for chunk in chunks):
        raise BadCms("an octet string with other things among its chunks")
    return b"".join(chunk.contents for chunk in chunks)


def _first(data: bytes) -> tuple[Element, bytes]:
    # Tags above 30 are in no structure read here, and cost quadratic time to parse.
    if data and data[0] & 0x1F == 0x1F:
        raise BadCms("a tag number above 30")
    try:
        _, _, _, header, contents, trailer = parser.parse(data)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadCms("not an ASN.1 element") from error
    size = len(header) + len(contents) + len(trailer)
    return Element(header[0], contents, data[:size]), data[size:]
