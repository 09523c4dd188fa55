"""Envelopes and archived messages as mail: one deterministic MIME form to store, a lenient bounded reader."""

import base64
import binascii
import hashlib
import quopri
import re
from dataclasses import dataclass
from email.message import Message
from typing import Literal

from webmail.mime_message import parsed

#: The largest envelope: 64 KiB of padded plaintext and its framing. That is 57 octets (protocol §3), and two
#: more for this bucket alone, whose length no longer fits two octets of CBOR.
MAX_ENVELOPE = 64 * 1024 + 59
#: The largest bare CMS, which has no buckets and carries the wrapped keys as well (protocol §4).
MAX_CMS = 80 * 1024
#: The largest archived message.
MAX_ARCHIVED = 256 * 1024
#: Mail larger than this carries no envelope and is not looked into.
MAX_ENVELOPE_MAIL = 256 * 1024

ENVELOPE_TYPE = "application/atsms-envelope"
CMS_TYPES = ("application/pkcs7-mime", "application/x-pkcs7-mime")
ARCHIVE_TYPE = "application/waxwing-archive"

_MAX_HEADER = 64 * 1024
_MAX_PARTS = 16
_MAX_DEPTH = 3
_HEX_ID = re.compile(r"[0-9a-f]{2,128}")


class EnvelopeError(ValueError):
    """Octets that are no envelope. `code` is "not-an-envelope" or "too-large"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, repr=False)
class Envelope:
    """A sealed envelope (protocol §3), or a bare CMS EnvelopedData for a device without a prekey (§4)."""

    data: bytes
    form: Literal["sealed", "cms"]

    @property
    def envelope_id(self) -> str:
        """SHA-256 of the whole envelope in lowercase hex (protocol §3)."""
        return hashlib.sha256(self.data).hexdigest()

    def __repr__(self) -> str:
        return f"Envelope({self.form}, {len(self.data)} octets)"


def read_envelope(data: bytes) -> Envelope:
    """Tell the form of an envelope from its first octet, and hold it to its size.

    A sealed envelope is a CBOR array of five (0x85), a CMS is an ASN.1 SEQUENCE (0x30). Nothing more is
    looked at here: whether it opens is for the agent to say. Raises EnvelopeError.
    """
    if data[:1] == b"\x85":
        form: Literal["sealed", "cms"] = "sealed"
        limit = MAX_ENVELOPE
    elif data[:1] == b"\x30":
        form, limit = "cms", MAX_CMS
    else:
        raise EnvelopeError("not-an-envelope", "this is neither a sealed envelope nor a CMS message")
    if len(data) > limit:
        raise EnvelopeError("too-large", f"an envelope has at most {limit} octets")
    return Envelope(data, form)


def envelope_message_id(envelope_id: str) -> str:
    """The Message-ID under which an envelope is stored. `envelope_id` is lowercase hex."""
    return f"<{_checked_hex(envelope_id)}@envelope.invalid>"


def archive_message_id(message_id: str) -> str:
    """The Message-ID under which a message is archived. `message_id` is lowercase hex."""
    return f"<{_checked_hex(message_id)}@archive.invalid>"


def mail_with_envelope(envelope: bytes) -> bytes:
    """The mail in which an envelope is stored: a function of the envelope alone, so that both carriers'
    copies are the same octets. No date, no sender, no trace of the way it came. Raises EnvelopeError."""
    read = read_envelope(envelope)
    return _mail(
        envelope_message_id(read.envelope_id),
        content_type_of(read),
        disposition_of(read),
        envelope,
    )


def mail_with_archive(archived: bytes, message_id: str) -> bytes:
    """The mail in which an archived message is stored; `message_id` in lowercase hex.
    Raises EnvelopeError "too-large" beyond MAX_ARCHIVED octets."""
    if len(archived) > MAX_ARCHIVED:
        raise EnvelopeError("too-large", f"an archived message has at most {MAX_ARCHIVED} octets")
    return _mail(
        archive_message_id(message_id), ARCHIVE_TYPE, 'attachment; filename="message.archive"', archived
    )


def envelope_in_mail(raw: bytes) -> Envelope | None:
    """The envelope that a mail carries, or None for ordinary mail.

    Takes the form that other implementations send: one `application/atsms-envelope` part, or a bare CMS
    as `application/pkcs7-mime`, as the whole mail or as one part of a multipart, in base64,
    quoted-printable or 8bit. Two such parts, or an unreadable one, make it ordinary mail: nothing is
    guessed and nothing is lost. Looks at no more than MAX_ENVELOPE_MAIL octets, 16 parts and 3 levels.
    """
    if len(raw) > MAX_ENVELOPE_MAIL:
        return None
    bodies = _bodies_of_type(raw, (ENVELOPE_TYPE, *CMS_TYPES))
    if bodies is None or len(bodies) != 1:
        return None
    content_type, data = bodies[0]
    try:
        envelope = read_envelope(data)
    except EnvelopeError:
        return None
    expected = "sealed" if content_type == ENVELOPE_TYPE else "cms"
    return envelope if envelope.form == expected else None


def archive_in_mail(raw: bytes) -> bytes | None:
    """The archived message that a mail of the Archive folder carries, or None if it carries none."""
    if len(raw) > 2 * MAX_ARCHIVED:
        return None
    bodies = _bodies_of_type(raw, (ARCHIVE_TYPE,))
    if bodies is None or len(bodies) != 1 or len(bodies[0][1]) > MAX_ARCHIVED:
        return None
    return bodies[0][1]


def content_type_of(envelope: Envelope) -> str:
    """The Content-Type under which an envelope travels and rests (protocol §7)."""
    if envelope.form == "sealed":
        return ENVELOPE_TYPE
    return "application/pkcs7-mime; smime-type=enveloped-data; name=message.p7m"


def disposition_of(envelope: Envelope) -> str:
    name = "message.atsms" if envelope.form == "sealed" else "message.p7m"
    return f'attachment; filename="{name}"'


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76 characters with CRLF (RFC 2045 §6.8)."""
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def _mail(message_id: str, content_type: str, disposition: str, body: bytes) -> bytes:
    header = (
        f"Message-ID: {message_id}\r\n"
        "MIME-Version: 1.0\r\n"
        f"Content-Type: {content_type}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: {disposition}\r\n"
        "\r\n"
    )
    return header.encode("ascii") + base64_lines(body)


def _checked_hex(value: str) -> str:
    if not _HEX_ID.fullmatch(value):
        raise ValueError("an id must be lowercase hex")
    return value


def _bodies_of_type(raw: bytes, types: tuple[str, ...]) -> list[tuple[str, bytes]] | None:
    """(type, decoded body) of every part of one of these types; None if the mail is too intricate."""
    found: list[tuple[str, bytes]] = []
    waiting = [(raw, 0)]
    seen = 0
    while waiting:
        part, depth = waiting.pop(0)
        seen += 1
        if seen > _MAX_PARTS or depth > _MAX_DEPTH:
            return None
        split = _header_and_body(part)
        if split is None:
            return None
        header, body = split
        content_type = header.get_content_type()
        if content_type in types:
            decoded = _decoded(body, str(header.get("Content-Transfer-Encoding", "7bit")))
            if decoded is None:
                return None
            found.append((content_type, decoded))
        elif content_type.startswith("multipart/"):
            parts = _parts(header, body)
            if parts is None:
                return None
            waiting.extend((inner, depth + 1) for inner in parts)
    return found


def _header_and_body(part: bytes) -> tuple[Message, bytes] | None:
    end = re.search(rb"\r?\n\r?\n|\A\r?\n", part[: _MAX_HEADER + 4])
    if end is None:
        return None
    header = parsed(part[: end.start()] + b"\r\n", only_header=True)
    return header, part[end.end() :]


def _parts(header: Message, body: bytes) -> list[bytes] | None:
    """The parts between the boundary's lines (RFC 2046 §5.1.1); None without boundary or with too many."""
    boundary = header.get_boundary()
    if not boundary or len(boundary) > 70:
        return None
    try:
        mark = b"--" + boundary.encode("ascii")
    except UnicodeEncodeError:
        return None
    line = re.compile(rb"(?:\A|\r?\n)" + re.escape(mark) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[bytes] = []
    start: int | None = None
    for match in line.finditer(body):
        if start is not None:
            parts.append(body[start : match.start()])
        if match.group(1) or len(parts) > _MAX_PARTS:
            return parts if len(parts) <= _MAX_PARTS else None
        start = match.end() + (2 if body.startswith(b"\r\n", match.end()) else 1)
    if start is not None:
        parts.append(body[start:])
    return parts


def _decoded(body: bytes, encoding: str) -> bytes | None:
    name = encoding.strip().lower()
    if name == "base64":
        try:
            return base64.b64decode(re.sub(rb"[ \t\r\n]+", b"", body), validate=True)
        except binascii.Error:
            return None
    if name == "quoted-printable":
        return quopri.decodestring(body)
    if name in ("7bit", "8bit", "binary"):
        return body
    return None
