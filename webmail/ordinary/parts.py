"""Which parts of an ordinary mail are its words, and which are files with it: each is one or the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from functools import cached_property

from accounts.one_line import is_blank
from webmail.mail_charsets import decoded
from webmail.ordinary.html import text_of

#: A mail with more parts, those included that only hold others, is not taken apart.
MAX_PARTS = 200
#: HTML with more elements is not looked at: its reader takes time with the square of how deep they nest.
MAX_ELEMENTS = 8000
#: Letters of a text that is shown.
MAX_TEXT = 400_000


_CONTAINER = re.compile(
    # As Python's reader has it: after any end of a line, and whatever it strips before a type.
    rb"(?<![^\r\n])content-type:[\s\x1c-\x1f]*(?:message/|multipart/(digest)?)",
    re.IGNORECASE,
)
#: What HTML of empty lines consists of.
_EMPTY_LINES = re.compile(
    r"<(?:!doctype|/?(?:html|head|meta|body|div|p|span|font|br)\b)[^<>]*>|&(?:nbsp|#160);", re.IGNORECASE
)


@dataclass(frozen=True, repr=False)
class Leaf:
    """A part that holds something, and the multipart that it lies in; None for a mail of one part."""

    part: Message
    container: Message | None

    @property
    def is_mixed(self) -> bool:
        """Whether it is one of several that are shown one after the other (RFC 2046 §5.1.3)."""
        return self.container is not None and self.container.get_content_type() == "multipart/mixed"

    @property
    def is_inline(self) -> bool:
        """Whether a page could show it as the words of the mail."""
        kept = self.part.get_content_disposition() == "attachment"
        return not kept and self.part.get_content_type() in ("text/plain", "text/html")

    @property
    def is_named(self) -> bool:
        """Whether it is named as files are, among others. What stands alone may have a name as well."""
        return self.is_mixed and bool(self.part.get_filename())

    @cached_property
    def is_blank(self) -> bool:
        """Whether it is text of which nothing would be seen, as programs put before and after a file."""
        if not self.is_inline:
            return False
        text = _decoded(self, whole=True)
        return is_blank(_EMPTY_LINES.sub("", text) if self.part.get_content_type() == "text/html" else text)


@dataclass(frozen=True, repr=False)
class Body:
    """The words of a mail, as text and as HTML where it has such, and all other parts in order."""

    text: str | None
    html: str | None
    attached: list[Message]
    #: Whether the HTML is not looked at, since it has too many elements; it is among `attached` then.
    too_many_elements: bool = False


def containers_in(raw: bytes) -> int:
    """At most how deep Python's reader nests with a mail. Only a Content-Type opens a container, but that
    what lies in a digest is a mail without saying so (RFC 2046 §5.1.5)."""
    return sum(2 if found[1] else 1 for found in _CONTAINER.finditer(raw))


def leaves(message: Message) -> list[Leaf] | None:
    """The parts that hold something, in order; None where there are more than MAX_PARTS. A mail within the
    mail is one of them, as it is."""
    found: list[Leaf] = []
    waiting, seen = [Leaf(message, None)], 0
    while waiting:
        leaf = waiting.pop(0)
        seen += 1
        if seen > MAX_PARTS:
            return None
        payload = leaf.part.get_payload()
        if leaf.part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting[:0] = [Leaf(child, leaf.part) for child in payload if isinstance(child, Message)]
        else:
            found.append(leaf)
    return found


def body_of(found: list[Leaf]) -> Body:
    """What is shown of these leaves: the first plain text with those that follow it in the same
    multipart/mixed, and the first HTML. What is named counts only where nothing else is there, and what is
    blank never does.

    Beside HTML with words, plain text counts only where it may say the same: not where it comes after the
    HTML, as lists put a line below a letter.
    """
    inline = [leaf for leaf in found if leaf.is_inline]
    first = [leaf for leaf in inline if not leaf.is_named] or inline[:1]
    own = [leaf for leaf in first if not leaf.is_blank]
    text, texts = _text_of(own)
    pages = [leaf for leaf in own if leaf.part.get_content_type() == "text/html"][:1]
    html = _decoded(pages[0]) if pages else None
    too_many_elements = html is not None and html.count("<") > MAX_ELEMENTS
    differs = html is not None and texts and not _says_the_same(texts[0], pages[0], own)
    if html is not None and differs and not too_many_elements and not is_blank(text_of(html)):
        text, texts = None, []
    shown = texts if too_many_elements else [*texts, *pages]
    attached = [
        leaf.part for leaf in found if leaf not in shown and (leaf.part.get_filename() or not leaf.is_blank)
    ]
    return Body(text, None if too_many_elements else html, attached, too_many_elements)


def _says_the_same(plain: Leaf, page: Leaf, own: list[Leaf]) -> bool:
    """Whether a plain text may have the words of the HTML as well."""
    is_alternative = (
        plain.container is not None and plain.container.get_content_type() == "multipart/alternative"
    )
    return is_alternative or own.index(plain) < own.index(page)


def _text_of(own: list[Leaf]) -> tuple[str | None, list[Leaf]]:
    """The plain text, and the leaves that it is from."""
    plain = [leaf for leaf in own if leaf.part.get_content_type() == "text/plain"]
    if not plain:
        return None, []
    shown, text = plain[:1], _decoded(plain[0])
    for leaf in plain[1:]:
        if leaf.is_mixed and leaf.container is shown[0].container:
            joined = "\n\n".join((text.rstrip("\n"), _decoded(leaf).strip("\n")))
            if len(joined) <= MAX_TEXT:
                shown, text = [*shown, leaf], joined
    return text, shown


def _decoded(leaf: Leaf, *, whole: bool = False) -> str:
    """The text of a leaf: as much as a page shows, or all of it."""
    octets = octets_of(leaf.part)
    most = len(octets) if whole else MAX_TEXT
    return shown_text(decoded(octets, str(leaf.part.get_content_charset() or ""), most))


def text_of_octets(octets: bytes, charset: str) -> str:
    """The beginning of a text as a page shows it, in that charset if it is one."""
    return shown_text(decoded(octets, charset, MAX_TEXT))


def shown_text(text: str) -> str:
    """Text without what a page or the database can't hold."""
    return text.replace("\r\n", "\n").replace("\x00", "\ufffd")


def octets_of(part: Message) -> bytes:
    """What a part holds, out of its transfer encoding; of a mail within the mail, all of it."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return b"\r\n".join(_whole(child) for child in payload if isinstance(child, Message))
    octets = part.get_payload(decode=True)
    return octets if isinstance(octets, bytes) else b""


def _whole(message: Message) -> bytes:
    """A mail within a mail, as its octets."""
    try:
        return message.as_bytes()
    except Exception:
        # Python's writer refuses some of what its reader gave, such as a field that looks like two.
        fields = "".join(f"{name}: {value}\n" for name, value in message.raw_items())
        return fields.encode("utf-8", "surrogateescape") + b"\n" + octets_of(message)
