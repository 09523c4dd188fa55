"""A message as one of an mbox (RFC 4155): a mail (RFC 5322) of printable ASCII with LF line ends.

No line of it but the first begins with ``From ``, so nothing has to be escaped, nor taken back by a reader.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import format_datetime
from urllib.parse import quote

from accounts.one_line import one_line
from webmail import encoded_words
from webmail.blobs.names import OTHER_TYPE
from webmail.people import Person
from webmail.readable_export.values import WrittenConversation, WrittenMessage

#: Under no name that exists (RFC 2606): an answer to such a mail goes nowhere.
DOMAIN = "atproto.invalid"
#: Characters of a name or subject.
LONGEST_WORDS = 200
LONGEST_DID = 900

_LINE = 76
_PER_LINE = _LINE // 4 * 3
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 ._-]{1,60}")
#: Types that may not be encoded (RFC 2045, 6.4), or would be taken for mail.
_COMPOSITE = ("message/", "multipart/")


def head(conversation: WrittenConversation, message: WrittenMessage, *, multipart: bool) -> bytes:
    """The line before the mail, and its header."""
    to = ",\n ".join(_mailbox(person) for person in conversation.others(message.by.did))
    title = one_line(conversation.title, LONGEST_WORDS)
    fields = [
        ("Message-ID", f"<{message.id}@{DOMAIN}>"),
        ("Date", format_datetime(_in_mail(message.created_at))),
        ("From", _mailbox(message.by)),
        ("To", to),
        (
            "Subject",
            encoded_words.unstructured("Subject", title, line_end="\n"),
        ),
        ("References", _references(conversation, message)),
        ("Waxwing-From", _did(message.by)),
        ("Waxwing-To", ",\n ".join(_did(person) for person in conversation.others(message.by.did))),
        ("Waxwing-Conversation", conversation.id),
        ("Waxwing-Placed", format_datetime(_in_mail(message.placed_at))),
        ("Waxwing-State", message.state if message.checked else "not-checked"),
        ("MIME-Version", "1.0"),
    ]
    if message.in_reply_to:
        fields.insert(6, ("In-Reply-To", f"<{message.in_reply_to}@{DOMAIN}>"))
    if message.topic:
        fields.append(("Waxwing-Topic", message.topic))
    if multipart:
        fields.append(("Content-Type", f'multipart/mixed;\n boundary="{_boundary(message)}"'))
    lines = "".join(f"{name}: {value}\n" for name, value in fields)
    moment = time.asctime(message.placed_at.astimezone(UTC).timetuple())
    first = f"From {_address(message.by)} {moment}\n"
    return (first + lines + ("\n" if multipart else "")).encode("ascii")


def text_part(message: WrittenMessage, text: str, *, multipart: bool) -> bytes:
    """The text, as the body of the mail or as one of its parts."""
    encoding, body = _encoded(text)
    lead = f"--{_boundary(message)}\n" if multipart else ""
    fields = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n"
    return (lead + fields).encode("ascii") + body


def file_part(
    message: WrittenMessage, name: str, media_type: str, chunks: Iterable[bytes]
) -> Iterator[bytes]:
    """A file as a part of the mail."""
    media_type = OTHER_TYPE if media_type.startswith(_COMPOSITE) else media_type
    lead = (
        f"--{_boundary(message)}\nContent-Type: {media_type}\nContent-Transfer-Encoding: base64\n"
        f"Content-Disposition: attachment;\n {_parameter('filename', name)}\n\n"
    )
    yield lead.encode("ascii")
    yield from _base64(chunks)


def end(message: WrittenMessage, *, multipart: bool) -> bytes:
    """What ends the mail: the last boundary, and the empty line before the next mail."""
    return f"--{_boundary(message)}--\n\n".encode("ascii") if multipart else b"\n"


def _mailbox(person: Person) -> str:
    """Name and address of a person; the name is folded by itself."""
    return encoded_words.mailbox(one_line(person.name, LONGEST_WORDS), _address(person), line_end="\n")


def _address(person: Person) -> str:
    """The handle at no domain, or the DID where no handle is known."""
    return Address(
        username=_did(person) if person.handle == person.did else person.handle, domain=DOMAIN
    ).addr_spec


def _did(person: Person) -> str:
    """A line of a mail has room for 998 characters."""
    return person.did[:LONGEST_DID]


def _references(conversation: WrittenConversation, message: WrittenMessage) -> str:
    """All mails of a conversation refer to it, so that programs show them as one thread."""
    answered = f"\n <{message.in_reply_to}@{DOMAIN}>" if message.in_reply_to else ""
    return f"<{conversation.id}@{DOMAIN}>{answered}"


def _parameter(attribute: str, value: str) -> str:
    """A parameter of a field (RFC 2231)."""
    if _PLAIN_NAME.fullmatch(value):
        return f'{attribute}="{value}"'
    return f"{attribute}*=utf-8''{quote(value, safe='')}"


def _encoded(text: str) -> tuple[str, bytes]:
    """Quoted-printable, or base64 where a line would begin like a mail."""
    data = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    if not data.endswith(b"\n"):
        data += b"\n"
    quoted = binascii.b2a_qp(data, istext=True, quotetabs=False)
    if re.search(rb"^From ", quoted, re.MULTILINE):
        return "base64", b"".join(_base64([data]))
    return "quoted-printable", quoted


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of base64."""
    left = b""
    for chunk in chunks:
        left += chunk
        whole = len(left) // _PER_LINE * _PER_LINE
        if whole:
            yield _lines(left[:whole])
            left = left[whole:]
    if left:
        yield _lines(left)


def _lines(data: bytes) -> bytes:
    rows = range(0, len(data), _PER_LINE)
    return b"".join(base64.b64encode(data[at : at + _PER_LINE]) + b"\n" for at in rows)


def _boundary(message: WrittenMessage) -> str:
    # Neither quoted-printable nor base64 has an equals sign before an underscore.
    return f"=_{message.id[:32]}"


def _in_mail(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def notes(lines: Sequence[str]) -> str:
    """What is said below the text, as the signature of a mail, which programs show in grey."""
    return "\n-- \n" + "".join(f"{line}\n" for line in lines) if lines else ""
