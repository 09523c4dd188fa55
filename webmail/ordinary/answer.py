"""From an ordinary mail and a text to the mail that answers it (RFC 5322 §3.6). Nothing is sent here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from webmail import encoded_words
from webmail.ordinary.message_ids import is_message_id
from webmail.ordinary.parsing import OrdinaryMail, is_address

#: Addresses that one answer may go to.
MAX_RECIPIENTS = 20
#: Octets of what is quoted of the mail that is answered.
MAX_QUOTED = 48_000
#: Letters of the subject. It came with the mail that is answered, and may not grow with every answer.
MAX_SUBJECT = 500
#: Letters of the name before the address of whoever answers.
MAX_NAME = 60

#: Where mail servers and mailing lists take reports; nobody reads what is written there.
_REPORTS = re.compile(r"(?:mailer-daemon|(?:.*-)?bounces?)(?:[-+=].*)?", re.IGNORECASE)
_ANSWER = re.compile(r"re\s*:", re.IGNORECASE)
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
#: Seven bits, which every mail server takes; and header fields that are left as they are folded here.
_POLICY = SMTP.clone(cte_type="7bit", refold_source="none")


@dataclass(frozen=True)
class Addressees:
    """Whom an answer goes to. `cc` are those that an answer to all goes to besides."""

    to: tuple[str, ...]
    cc: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.to, *self.cc)


def addressees(
    mail: OrdinaryMail, *, is_own: Callable[[str], bool], may_reach: Callable[[str], bool]
) -> Addressees | str:
    """Whom an answer may go to: Reply-To, or else From; and for an answer to all To and Cc.

    `is_own` says of an address whether it is the answering person's, `may_reach` whether mail may go there.
    Where there is nobody, the code of the reason: "utf8", "no-address", "own-address", "takes-reports".
    """
    if not mail.answer_to:
        return "utf8" if mail.answer_beyond_ascii else "no-address"
    to = _without_repetition(mail.answer_to, ())
    if all(is_own(address) for address in to):
        return "own-address"
    if any(takes_reports(address) for address in to):
        return "takes-reports"
    if not all(may_reach(address) for address in to) or len(to) > MAX_RECIPIENTS:
        return "no-address"
    if not all(address.isascii() for address in (*to, *mail.others)):
        # Everybody's servers would have to take letters beyond ASCII, since all addresses are in the mail.
        return Addressees(to, ())
    others = [
        address
        for address in _without_repetition(mail.others, to)
        if may_reach(address) and not is_own(address) and not takes_reports(address)
    ]
    return Addressees(to, tuple(others) if len(to) + len(others) <= MAX_RECIPIENTS else ())


def takes_reports(address: str) -> bool:
    """Whether an address is one of those that only programs read, such as `list-bounces@`."""
    return _REPORTS.fullmatch(address.rpartition("@")[0]) is not None


def subject_of(subject: str) -> str:
    """ "Re: " once before the subject of the mail that is answered (RFC 5322 §3.6.5)."""
    return (subject if _ANSWER.match(subject) else f"Re: {subject}".strip())[:MAX_SUBJECT]


def references_of(mail: OrdinaryMail) -> tuple[str, ...]:
    """The Message-IDs of the thread, the answered mail's own last (RFC 5322 §3.6.4)."""
    parents = mail.in_reply_to if len(mail.in_reply_to) == 1 else ()
    return (mail.references or parents) + mail.message_ids[:1]


def quoted(text: str, introduction: str) -> str:
    """A text with a mark before each line, and a sentence above that says whose it is."""
    octets = text.encode("utf-8", "replace")
    cut = len(octets) > MAX_QUOTED
    lines = octets[:MAX_QUOTED].decode("utf-8", "ignore").strip("\n").splitlines()
    if cut:
        lines.append("[…]")
    return "\n".join([introduction, *(f">{line}" if line[:1] == ">" else f"> {line}" for line in lines)])


def answer_mail(
    mail: OrdinaryMail,
    *,
    sender_name: str,
    sender: str,
    to: Sequence[str],
    cc: Sequence[str],
    text: str,
    message_id: str,
    now: datetime,
) -> bytes:
    """The whole mail with CRLF, in seven bits but for addresses beyond ASCII (RFC 6532).

    `text` is plain; `message_id` has its angle brackets.
    Raises ValueError for what could end a field of the header; nothing that came through read_mail does.
    """
    fields = [
        ("From", _mailbox(sender_name, sender)),
        ("To", _list("To", to)),
        ("Subject", encoded_words.unstructured("Subject", subject_of(mail.subject), line_end="\r\n")),
        ("Date", format_datetime(now.replace(microsecond=0))),
        ("Message-ID", _ids("Message-ID", [message_id])),
    ]
    if cc:
        fields.append(("Cc", _list("Cc", cc)))
    if named := mail.message_ids[:1]:
        fields.append(("In-Reply-To", _ids("In-Reply-To", named)))
    if references := references_of(mail):
        fields.append(("References", _ids("References", references)))
    answer = EmailMessage(policy=_POLICY if all(map(str.isascii, (*to, *cc))) else _POLICY.clone(utf8=True))
    for name, value in fields:
        # As it is: Python would decode once more what looks encoded.
        answer.set_raw(name, value)
    answer.set_content(text.rstrip("\n") + "\n", charset="utf-8")
    return _checked(answer.as_bytes(), [name for name, _value in fields])


def _checked(octets: bytes, fields: Sequence[str]) -> bytes:
    """The mail as it was given, if its header has these fields alone, beside those of its content."""
    header = octets.partition(b"\r\n\r\n")[0]
    found = [line.partition(b":")[0] for line in header.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    expected = [*fields, "MIME-Version", "Content-Type", "Content-Transfer-Encoding"]
    if sorted(found) != sorted(name.encode() for name in expected) or _BARE.search(octets):
        raise ValueError("something in the mail would end a line of its header")
    return octets


def _mailbox(name: str, address: str) -> str:
    return encoded_words.mailbox(name[:MAX_NAME].rstrip(), address, line_end="\r\n")


def _ids(field: str, ids: Sequence[str]) -> str:
    """One to a line. Python would encode long ones as if they were words, and nobody finds them then."""
    if not all(map(is_message_id, ids)):
        raise ValueError(f"{field} takes Message-IDs alone")
    return "\r\n ".join(ids)


def _list(field: str, addresses: Sequence[str]) -> str:
    if not all(is_address(one) for one in addresses):
        raise ValueError(f"{field} takes addresses alone")
    return ",\r\n ".join(addresses)


def _without_repetition(addresses: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Each once, and none that is known; addresses that differ in case alone are taken for one."""
    found: dict[str, str] = {}
    for address in addresses:
        if address.lower() not in {one.lower() for one in known}:
            found.setdefault(address.lower(), address)
    return tuple(found.values())
