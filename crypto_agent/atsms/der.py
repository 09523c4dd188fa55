"""Elements of ASN.1: written as DER, read as DER or BER (X.690), one level at a time.

No recursion and no value is ever interpreted here, so that hostile input costs time in proportion to its
length: general libraries recurse into it, or take quadratic time for its tag numbers.
"""

from typing import NamedTuple

from crypto_agent.atsms.errors import BadCms

INTEGER, BIT_STRING, OCTET_STRING, NULL, OBJECT_IDENTIFIER = 0x02, 0x03, 0x04, 0x05, 0x06
SEQUENCE, SET = 0x30, 0x31
#: No structure read here comes near this many elements side by side; a recipient list has some 210.
MAX_CHILDREN = 2048
#: Levels of indefinite length inside each other; the profile's structures have some ten levels in all.
MAX_INDEFINITE_DEPTH = 16


class Element(NamedTuple):
    """One element: its identifier octet, its contents, and all of it as it was read."""

    tag: int
    contents: bytes
    encoded: bytes


def write(tag: int, *contents: bytes) -> bytes:
    """The DER element of ``tag`` (its identifier octet) with ``contents`` joined."""
    body = b"".join(contents)
    return head(tag, len(body)) + body


def head(tag: int, size: int) -> bytes:
    """What stands before ``size`` bytes of contents in the DER element of ``tag``."""
    if size < 0x80:
        return bytes((tag, size))
    if size < 0x100:
        return bytes((tag, 0x81, size))
    if size < 0x10000:
        return bytes((tag, 0x82, size >> 8, size & 0xFF))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def contents_at(data: bytes, start: int, tag: int) -> tuple[int, int]:
    """Where the contents of the element of ``tag`` and definite length at ``start`` begin and end.

    Raises BadCms where no such element is; it may end after ``data`` does.
    """
    found, first, length = _head(data, start)
    if found != tag or length is None:
        raise BadCms("an element of another type than expected")
    return first, first + length


def context(number: int, *contents: bytes, constructed: bool = True) -> bytes:
    """The DER element with the context-specific tag ``number``."""
    return write((0xA0 if constructed else 0x80) | number, *contents)


def read(data: bytes, tag: int | None = None) -> Element:
    """The one element that ``data`` consists of; BadCms where it doesn't, or has another tag."""
    element, end = _element_at(data, 0)
    if end != len(data):
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
    position = 0
    contents = element.contents
    size = len(contents)
    while position < size:
        first = position + 2
        if first <= size and contents[position + 1] < 0x80 and contents[position] & 0x1F != 0x1F:
            # Nearly all elements have such a short head; two calls less for each halve the time here.
            end = first + contents[position + 1]
            if end > size:
                raise BadCms("an element that ends after its surroundings")
            found.append(Element(contents[position], contents[first:end], contents[position:end]))
            position = end
        else:
            child, position = _element_at(contents, position)
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


def _element_at(data: bytes, start: int) -> tuple[Element, int]:
    """The element that starts at ``start``, and where it ends."""
    tag, first, length = _head(data, start)
    if length is None:
        end = _end_of_indefinite(data, first)
        return Element(tag, data[first : end - 2], data[start:end]), end
    end = first + length
    if end > len(data):
        raise BadCms("an element that ends after its surroundings")
    return Element(tag, data[first:end], data[start:end]), end


def _head(data: bytes, start: int) -> tuple[int, int, int | None]:
    """Identifier octet, where the contents start, and their length: None where it is indefinite."""
    if start + 2 > len(data):
        raise BadCms("ends in the middle of an element")
    tag, length = data[start], data[start + 1]
    if tag & 0x1F == 0x1F:
        raise BadCms("a tag number above 30")
    first = start + 2
    if length < 0x80:
        return tag, first, length
    if length == 0x80:
        if not tag & 0x20:
            raise BadCms("a primitive element of indefinite length")
        return tag, first, None
    width = length & 0x7F
    if width > 4 or first + width > len(data):
        raise BadCms("a length that no input here can have")
    return tag, first + width, int.from_bytes(data[first : first + width], "big")


def _end_of_indefinite(data: bytes, position: int) -> int:
    """Where the contents that start at ``position`` end, with their end-of-contents octets."""
    depth = 1
    while depth:
        if data.startswith(b"\x00\x00", position):
            position += 2
            depth -= 1
            continue
        _, position, length = _head(data, position)
        if length is None:
            depth += 1
            if depth > MAX_INDEFINITE_DEPTH:
                raise BadCms(f"more than {MAX_INDEFINITE_DEPTH} levels of indefinite length")
        else:
            position += length
    return position
