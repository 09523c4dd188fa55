"""What a mail server says to each recipient and each mail: the rules of the ingress, without a socket.

Every recipient gets a reply of their own, as LMTP has it (RFC 2033 §4.2). No reply depends on who sends.
"""

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from webmail.carriers.bounces import token_of_local_part
from webmail.ingress import IngressRefusal
from webmail.mailbox.envelope_mail import envelope_in_mail
from webmail.mailbox.names import did_of_local_part

STORED = "250 2.0.0 stored"
RECIPIENT_KNOWN = "250 2.1.5 ok"
RECIPIENT_UNKNOWN = "550 5.1.1 there is no such mailbox here"
MAILBOX_FULL = "452 4.2.2 this mailbox is full; try again later"
OTHER_DOMAIN = "550 5.7.1 mail for that domain is not taken here"
TROUBLE = "451 4.3.0 this server has trouble; try again later"
#: A mail that ends lines otherwise could be read as two by another server (SMTP smuggling): not taken.
BARE_LINE_END = "550 5.6.11 lines must end with CR LF"
HOLDS_NUL = "550 5.6.0 mail can't hold a NUL"

_REFUSALS = {
    "unknown-recipient": RECIPIENT_UNKNOWN,
    "too-large": "552 5.3.4 that is larger than what is taken here",
    "not-an-envelope": "554 5.6.0 that is not an envelope",
    "over-quota": "452 4.2.2 this mailbox takes no more for the moment; try again later",
    "mailbox-full": MAILBOX_FULL,
    "mailbox-unavailable": "451 4.3.0 the mailbox can't be reached; try again later",
}


@dataclass(frozen=True)
class MailboxAddress:
    """An address that names a mailbox."""

    did: str


@dataclass(frozen=True)
class ReportAddress:
    """A return address that this installation gave to a delivery of its own."""

    token: str


class Door(Protocol):
    """What the rules need of webmail.ingress. Every method raises IngressRefusal."""

    def check_recipient(self, did: str, *, now: datetime) -> None: ...

    def accept(self, did: str, envelope: bytes, *, now: datetime) -> object: ...

    def accept_mail(self, did: str, raw: bytes, *, now: datetime) -> None: ...

    def accept_report(self, token: str, raw: bytes, *, now: datetime) -> None: ...


def read_address(
    address: str, *, domains: Container[str], secret: str
) -> MailboxAddress | ReportAddress | str:
    """Whom an address of RCPT names, or the reply that refuses it. `domains` are in lower case."""
    local, at, domain = address.rpartition("@")
    if not at or domain.lower() not in domains:
        return OTHER_DOMAIN
    if len(local) >= 2 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    token = token_of_local_part(local, secret)
    if token is not None:
        return ReportAddress(token)
    did = did_of_local_part(local)
    return RECIPIENT_UNKNOWN if did is None else MailboxAddress(did)


def reply_to_recipient(address: MailboxAddress | ReportAddress | str, door: Door, *, now: datetime) -> str:
    """The reply to RCPT for an address that was read."""
    if isinstance(address, str):
        return address
    if isinstance(address, MailboxAddress):
        try:
            door.check_recipient(address.did, now=now)
        except IngressRefusal as refusal:
            return _REFUSALS.get(refusal.code, TROUBLE)
    return RECIPIENT_KNOWN


def replies_to_mail(
    addresses: Sequence[MailboxAddress | ReportAddress],
    raw: bytes,
    door: Door,
    *,
    now: datetime,
    on_error: Callable[[Exception], None] = lambda error: None,
) -> list[str]:
    """Store a mail for each recipient and give the reply for each, in order. 250 only for what is stored.

    A mail that carries an envelope is stored as that envelope alone; any other as it came.
    """
    fault = _fault(raw)
    if fault is not None:
        return [fault for _ in addresses]
    envelope = envelope_in_mail(raw)

    def store(address: MailboxAddress | ReportAddress) -> None:
        if isinstance(address, ReportAddress):
            door.accept_report(address.token, raw, now=now)
        elif envelope is not None:
            door.accept(address.did, envelope.data, now=now)
        else:
            door.accept_mail(address.did, raw, now=now)

    replies: list[str] = []
    for address in addresses:
        try:
            store(address)
        except IngressRefusal as refusal:
            replies.append(_REFUSALS.get(refusal.code, TROUBLE))
        except Exception as error:
            # Whatever it is, the sender keeps the mail and tries again; nothing is lost.
            on_error(error)
            replies.append(TROUBLE)
        else:
            replies.append(STORED)
    return replies


def _fault(raw: bytes) -> str | None:
    if b"\0" in raw:
        return HOLDS_NUL
    if re.search(rb"\r(?!\n)|(?<!\r)\n", raw):
        return BARE_LINE_END
    return None
