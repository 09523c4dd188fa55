"""Changes one element deep inside a DER structure and writes the rest anew around it."""

from collections.abc import Callable, Sequence

from crypto_agent.atsms import der
from crypto_agent.atsms.der import Element

Edit = Callable[[Element], bytes]


def edit(data: bytes, path: Sequence[int], change: Edit) -> bytes:
    """``data`` with the element at ``path`` (an index at each level) replaced by what ``change`` gives.

    Nothing takes the element away; several elements put more in its place.
    """
    element = der.read(data)
    if not path:
        return change(element)
    children = [child.encoded for child in der.children(element)]
    children[path[0]] = edit(children[path[0]], path[1:], change)
    return der.write(element.tag, *children)


def remove(_: Element) -> bytes:
    return b""


def replace_by(encoded: bytes) -> Edit:
    return lambda _: encoded


def twice(element: Element) -> bytes:
    return element.encoded * 2


def flip_last_bit(element: Element) -> bytes:
    contents = element.contents[:-1] + bytes((element.contents[-1] ^ 1,))
    return der.write(element.tag, contents)


def indefinite(data: bytes, levels: int) -> bytes:
    """BER of a DER structure, its outer ``levels`` with their length left open (X.690 §8.1.3.6)."""
    element = der.read(data)
    if not element.tag & 0x20 or levels == 0:
        return data
    inside = b"".join(indefinite(child.encoded, levels - 1) for child in der.children(element))
    return bytes((element.tag, 0x80)) + inside + b"\x00\x00"
