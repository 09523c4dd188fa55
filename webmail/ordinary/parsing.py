"""From the octets of an ordinary mail to what a page may show. Lenient, bounded, and no word on who wrote.

What is read here is a stranger's, whatever it says of itself: nothing is decrypted, followed or fetched.
"""

from __future__ import annotations

import email.header
import email.utils
import logging
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.errors import HeaderParseError, NonASCIILocalPartDefect
from email.headerregistry import Address
from email.message import Message
from email.policy import default

import idna

from accounts.one_line import is_blank, one_line
from webmail.carriers.local_parts import LOCAL_PART, is_beyond_ascii
from webmail.images.decoding import SHOWN_TYPES
from webmail.mail_charsets import decoded
from webmail.mime_message import parsed
from webmail.ordinary.message_ids import message_ids_in
from webmail.ordinary.parts import Leaf, body_of, containers_in, leaves, octets_of, shown_text, text_of_octets

log = logging.getLogger(__name__)

#: More containers than this are not taken apart: Python's reader nests with them.
MAX_CONTAINERS = 40
#: Letters of a field of the header that are shown, and of a list of addresses that is read.
MAX_FIELD = 500
MAX_ADDRESSES = 4000
MAX_DOMAIN = 253
#: Letters of a field of Message-IDs that are looked at, and the last ones of them that are kept.
MAX_IDS_FIELD, MAX_IDS = 4000, 20
#: Octets of a picture that a mail shows inside its own text.
MAX_PICTURE = 300_000

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")
_ADDRESS = re.compile(rf"{LOCAL_PART}@[A-Za-z0-9][A-Za-z0-9.-]{{0,250}}[A-Za-z0-9]")


@dataclass(frozen=True)
class Attached:
    """A part that is offered for download. `number` is its place among them, `size` its octets."""

    number: int
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, repr=False)
class OrdinaryMail:
    """A mail as it says of itself. `text` is there if it has a plain version, `html` if it has one."""

    sender_name: str
    sender_address: str
    #: Where an answer goes (RFC 5322 §3.6.2); empty where the mail names nothing that mail can be sent to.
    answer_to: tuple[str, ...]
    #: Whether what it names for answers has letters beyond ASCII, and is nothing that mail can be sent to.
    answer_beyond_ascii: bool
    #: What To says, as it says it; and the addresses in it, empty where they are more than what is looked at.
    recipients: str
    to: tuple[str, ...]
    #: The addresses in To and Cc; empty where they are more than what is looked at.
    others: tuple[str, ...]
    subject: str
    date: datetime | None
    #: Message-IDs, with their angle brackets: its own, of which there should be one, and those it names.
    message_ids: tuple[str, ...]
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    text: str | None
    html: str | None
    attached: list[Attached]
    #: The pictures that the HTML may show, by Content-ID: media type and octets.
    pictures: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    #: Whether it is put together in a way that is not taken apart: `text` is then its source.
    too_complex: bool = False

    def __repr__(self) -> str:
        return f"OrdinaryMail({len(self.attached)} attached)"


@dataclass(frozen=True, repr=False)
class MailSummary:
    """What a list shows of a mail: each as in OrdinaryMail."""

    sender_name: str
    sender_address: str
    subject: str


def read_summary(raw: bytes) -> MailSummary:
    """Any octets give one. Nothing but the header is looked at."""
    try:
        message = parsed(raw, only_header=True)
        return MailSummary(*_one_address(message, "From"), _field(message, "Subject"))
    except Exception as error:
        _log_unreadable(error)
        return MailSummary("", "", "")


def read_mail(raw: bytes) -> OrdinaryMail:
    """Any octets give a mail; `raw` is bounded by who fetched it (mailbox.FETCH_BYTES)."""
    try:
        return _read(raw)
    except Exception as error:
        # Of a mail that breaks its reader, the owner still has to get rid.
        _log_unreadable(error)
        return _unreadable(raw)


def _log_unreadable(error: Exception) -> None:
    # Not its traceback, in which the mail could be seen.
    log.error("a mail could not be read: %s", type(error).__name__)


def _unreadable(raw: bytes) -> OrdinaryMail:
    return OrdinaryMail(
        sender_name="",
        sender_address="",
        answer_to=(),
        answer_beyond_ascii=False,
        recipients="",
        to=(),
        others=(),
        subject="",
        date=None,
        message_ids=(),
        in_reply_to=(),
        references=(),
        text=_source(raw),
        html=None,
        attached=[],
        too_complex=True,
    )


def _read(raw: bytes) -> OrdinaryMail:
    message, found = _taken_apart(raw)
    sender_name, sender_address = _one_address(message, "From")
    to = _addresses(message, "To")
    answer_field = "Reply-To" if _unfolded(message, "Reply-To").strip() else "From"
    answer_to = _addresses(message, answer_field)
    body = body_of(found or [])
    complex_one = found is None or (body.too_many_elements and body.text is None)
    return OrdinaryMail(
        sender_name=sender_name,
        sender_address=sender_address,
        answer_to=answer_to,
        answer_beyond_ascii=not answer_to and not _unfolded(message, answer_field).isascii(),
        recipients=_field(message, "To"),
        to=to,
        others=(*to, *_addresses(message, "Cc")),
        subject=_field(message, "Subject"),
        date=_date(message),
        message_ids=_ids(message, "Message-ID"),
        in_reply_to=_ids(message, "In-Reply-To"),
        references=_ids(message, "References"),
        text=_source(raw) if complex_one and body.text is None else body.text,
        html=body.html,
        attached=[_attached(number, part) for number, part in enumerate(body.attached)],
        pictures=_pictures([leaf.part for leaf in found or ()]),
        too_complex=complex_one,
    )


def senders(raw: bytes) -> frozenset[str]:
    """The addresses in a mail's From, in lower case, without reading more of it; none where not sure."""
    message = parsed(raw, only_header=True)
    return frozenset(_one_line(one.addr_spec).lower() for one in _parsed(message, "From") or ())


def attachment(raw: bytes, number: int) -> tuple[Attached, bytes] | None:
    """One attached part with its octets, or None if there is none of that number."""
    _message, found = _taken_apart(raw)
    parts = body_of(found or []).attached
    if not 0 <= number < len(parts):
        return None
    return _attached(number, parts[number]), octets_of(parts[number])


def _taken_apart(raw: bytes) -> tuple[Message, list[Leaf] | None]:
    """A mail with its leaves; None where it is put together from too many parts, or they nest too deep."""
    if containers_in(raw) > MAX_CONTAINERS:
        return parsed(raw, only_header=True), None
    message = parsed(raw)
    return message, leaves(message)


def _attached(number: int, part: Message) -> Attached:
    media_type = part.get_content_type()
    return Attached(
        number=number,
        name=_one_line(part.get_filename() or ""),
        media_type=media_type if _TYPE.fullmatch(media_type) else "application/octet-stream",
        size=len(octets_of(part)),
    )


def _pictures(parts: list[Message]) -> dict[str, tuple[str, bytes]]:
    found = {}
    for part in parts:
        name = str(part.get("Content-ID", "")).strip().strip("<>")
        octets = octets_of(part) if name and part.get_content_type() in SHOWN_TYPES else b""
        if octets and len(octets) <= MAX_PICTURE:
            found[name] = (part.get_content_type(), octets)
    return found


def _source(raw: bytes) -> str:
    return text_of_octets(raw, "")


def _field(message: Message, name: str) -> str:
    """A field of the header as text (RFC 2047), on one line."""
    value = next(iter(_values(message, name)), "")
    try:
        pieces = email.header.decode_header(value[: 4 * MAX_FIELD])
    except (ValueError, HeaderParseError):
        return _one_line(value)
    words = [
        shown_text(decoded(piece, charset or "", 4 * MAX_FIELD)) if isinstance(piece, bytes) else piece
        for piece, charset in pieces
    ]
    return _one_line("".join(words))


def _one_line(text: str) -> str:
    """A field, or a part of one, empty where nothing of it would be seen; octets that are no character become
    question marks."""
    line = one_line(text.encode("utf-8", "replace").decode(), MAX_FIELD)
    return "" if is_blank(line) else line


def _one_address(message: Message, name: str) -> tuple[str, str]:
    """Name and address of a field. With several addresses, or several such fields, no address is sure."""
    found = _parsed(message, name)
    if found is None or len(found) != 1:
        return _field(message, name), ""
    return _one_line(found[0].display_name), _one_line(found[0].addr_spec)


def _addresses(message: Message, name: str) -> tuple[str, ...]:
    """The addresses of a field that mail can be sent to. None if one of them is none."""
    found = [_with_ascii_domain(one.addr_spec) for one in _parsed(message, name) or ()]
    return tuple(found) if all(map(is_address, found)) else ()


def is_address(text: str) -> bool:
    """Whether mail can be sent there, if only by SMTPUTF8 where it has letters beyond ASCII before the @.

    What looks encoded would be another address to whoever decodes it, which RFC 2047 §5 allows nobody.
    """
    local, at, domain = text.rpartition("@")
    plain = f"a{at}{domain}" if is_beyond_ascii(local) else text
    return _ADDRESS.fullmatch(plain) is not None and ".." not in text and "=?" not in text


def _with_ascii_domain(address: str) -> str:
    """The address as mail servers are asked for it: a domain of other letters by its name in DNS (IDNA 2008,
    as browsers read it). One that has none stays as it is."""
    local, at, domain = address.rpartition("@")
    if domain.isascii() or len(domain) > MAX_DOMAIN:
        return address
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True, std3_rules=True).decode('ascii')}"
    except (idna.IDNAError, UnicodeError):
        return address


def _parsed(message: Message, name: str) -> tuple[Address, ...] | None:
    """What a list of addresses holds; None for several such fields, and for what is no such list."""
    value = _unfolded(message, name)
    if len(_values(message, name)) != 1 or len(value) > MAX_ADDRESSES:
        return None
    try:
        # Unlike email.utils, it does not take the address in a comment or a name for the address.
        found = default.header_factory(name, value)
        addresses: tuple[Address, ...] = getattr(found, "addresses", ())
    except Exception:
        # It fails in many ways on what is no address list.
        return None
    return addresses if all(isinstance(each, NonASCIILocalPartDefect) for each in found.defects) else None


def _unfolded(message: Message, name: str) -> str:
    return re.sub(r"[\r\n]+", " ", next(iter(_values(message, name)), ""))


def _values(message: Message, name: str) -> list[str]:
    """The fields of that name. Octets above 127 are UTF-8 (RFC 6532), or else what most such mail has."""
    found = [value for key, value in message.raw_items() if key.lower() == name.lower()]
    return [text_of_octets(str(value).encode("utf-8", "surrogateescape"), "") for value in found]


def _date(message: Message) -> datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(str(message.get("Date", "")))
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _ids(message: Message, name: str) -> tuple[str, ...]:
    """The Message-IDs of a field, to be named in an answer."""
    return message_ids_in(str(message.get(name, ""))[:MAX_IDS_FIELD])[-MAX_IDS:]
