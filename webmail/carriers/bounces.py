"""The return address of outgoing mail, and reading the reports that come back to it."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from webmail.mail_charsets import decoded
from webmail.mailbox.names import did_of_local_part
from webmail.mime_message import parsed

from .outcomes import Deferred, Refused, outcome_of_report, printable
from .status_codes import status_of_field

MAX_TOKEN = 16
#: Reports are small: the headers of one short mail and a few lines. More is not read.
MAX_REPORT = 256 * 1024
_MAX_PARTS = 12
_MAX_GROUPS = 60
_MAX_EMPTY_LINES = 1000
#: Letters of a report that could not be read, of which the beginning is kept.
_MAX_WORDS = 8000

_LOCAL_PART = re.compile(r"b\+([a-z2-7]{28,52})")
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_EMPTY_LINE = re.compile(rb"\n\r?(?=\n)")
#: Mails that carry envelopes are named after them (smtp.py); answers to ordinary mail have names like theirs.
_RETURNED = re.compile(rb"(?im)^message-id:\s*<([0-9a-f]{64})@")


def bounce_local_part(token: str, secret: str) -> str:
    """An opaque local part that stands for `token` (1 to 16 octets of UTF-8), at most 54 characters.

    The token is encrypted and authenticated (AES-SIV, RFC 5297), so that nobody learns from it whose
    delivery it is, and nobody can make up a report for a delivery. The same token gives the same local part.
    """
    data = token.encode()
    if not 1 <= len(data) <= MAX_TOKEN:
        raise ValueError("a bounce token has 1 to 16 octets")
    sealed = AESSIV(_key(secret)).encrypt(data, None)
    return "b+" + _base32(sealed)


def token_of_local_part(local_part: str, secret: str) -> str | None:
    """The token that a local part stands for, in any case; None for every other local part."""
    match = _LOCAL_PART.fullmatch(local_part.lower())
    if match is None:
        return None
    text = match[1].upper()
    try:
        sealed = base64.b32decode(text + "=" * (-len(text) % 8))
        token = AESSIV(_key(secret)).decrypt(sealed, None).decode()
    except (binascii.Error, InvalidTag, ValueError):
        return None
    # Base 32 has bits to spare in its last character.
    return token if match[1] == _base32(sealed) else None


def _base32(sealed: bytes) -> str:
    return base64.b32encode(sealed).decode("ascii").rstrip("=").lower()


#: Who writes reports: what a person's program answers by itself (RFC 3834) comes from the person.
_FROM_A_SERVER = re.compile(
    rb"(?im)^(?:from:.*\b(?:mailer-daemon|mail-daemon|postmaster|microsoftexchange[0-9a-f]+)\b|x-failed-recipients:)"
)
_STATUS_REPORT = re.compile(
    rb"(?im)^content-type:\s*multipart/report\b.*\breport-type\s*=\s*\"?delivery-status\b"
)
_OTHER_REPORT = re.compile(
    rb"(?im)^content-type:\s*multipart/report\b.*\breport-type\s*=(?!\s*\"?delivery-status\b)"
)
_ARRIVED = ("delivered", "relayed", "expanded")


@dataclass(frozen=True)
class Report:
    """What a mail server says of a mail of ours. `envelope_ids` are those that the returned mail names by its
    Message-ID; empty where nothing was returned."""

    outcome: Refused | Deferred
    envelope_ids: frozenset[str]


def report_in_mail(raw: bytes, *, recipient: str | None = None) -> Report | None:
    """What a delivery status notification (RFC 3464) says of our one recipient; None if it says nothing.

    Only failure and delay are something: "delivered", "relayed" and "expanded" give None. Of several
    recipients, the one whose address stands for the DID `recipient` decides; where none does, the mail was
    passed on to several, and failed only if none of them got it. Looks at no more than MAX_REPORT octets.
    """
    raw = raw[:MAX_REPORT]
    message = _report(raw)
    if message is None:
        return None
    groups = _status_fields(message)
    ours = [group for group in groups if recipient is not None and recipient in _dids(group)]
    outcome = _outcome(ours or groups)
    if outcome is None:
        return None
    body = _END_OF_HEADER.split(raw, maxsplit=1)[-1]
    return Report(outcome, _returned(body))


@dataclass(frozen=True)
class UnreadReport:
    """What a mail server seems to have written of a mail of ours. `words` are its beginning on one line;
    `envelope_ids` as in Report."""

    words: str
    envelope_ids: frozenset[str]


def unread_report(raw: bytes) -> UnreadReport | None:
    """The beginning of a report in which `report_in_mail` finds nothing, such as one that is only text.

    None for what a person's program answers, for other kinds of report, and for one that says that the mail
    arrived. Looks at no more than MAX_REPORT octets.
    """
    raw = raw[:MAX_REPORT]
    header, *rest = _END_OF_HEADER.split(raw, maxsplit=1)
    fields = re.sub(rb"\r?\n[ \t]+", b" ", header)
    if _OTHER_REPORT.search(fields) or not (_STATUS_REPORT.search(fields) or _FROM_A_SERVER.search(fields)):
        return None
    message = _report(raw)
    if message is not None and any(_action_of(group) in _ARRIVED for group in _status_fields(message)):
        return None
    body = rest[0] if rest else b""
    return UnreadReport(printable(_words(raw, body)), _returned(body))


def _words(raw: bytes, body: bytes) -> str:
    """The first text of a mail, or where it has none, or is too deep to be taken apart, its beginning."""
    if _is_shallow(raw):
        message = parsed(raw)
        text = next((part for part in message.walk() if part.get_content_type() == "text/plain"), None)
        payload = text.get_payload(decode=True) if text is not None else None
        if text is not None and isinstance(payload, bytes) and payload.strip():
            return decoded(payload, text.get_content_charset("utf-8"), _MAX_WORDS)
    return decoded(body, "utf-8", _MAX_WORDS)


def _report(raw: bytes) -> Message | None:
    """The parsed report; None when it is not one, before its parts are parsed at all."""
    header = _END_OF_HEADER.split(raw, maxsplit=1)[0]
    if not re.search(rb"(?im)^content-type:\s*multipart/report\b", header):
        return None
    if not _is_shallow(raw):
        return None
    # The same fields with addresses in UTF-8 (RFC 6533 §3).
    raw = re.sub(rb"(?i)message/global-delivery-status", b"message/delivery-status", raw)
    return parsed(raw)


def _is_shallow(raw: bytes) -> bool:
    """Whether a mail may be parsed: the parser nests as deep as the mail does, and makes a message of each
    group of fields; a report nests the returned mail and no further, and has few groups."""
    few_parts = raw.lower().count(b"content-type:") <= _MAX_PARTS
    return few_parts and len(_EMPTY_LINE.findall(raw)) <= _MAX_EMPTY_LINES


def _returned(body: bytes) -> frozenset[str]:
    return frozenset(name.decode() for name in _RETURNED.findall(body)[:_MAX_GROUPS])


def _status_fields(message: Message) -> list[Message]:
    """The groups of fields about each recipient (RFC 3464 §2.3), without the one about the whole mail."""
    groups: list[Message] = []
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            groups += [group for group in part.get_payload() if isinstance(group, Message)]
    about_recipients = [group for group in groups if group["Action"] or group["Status"]]
    return about_recipients[:_MAX_GROUPS]


def _dids(group: Message) -> set[str | None]:
    """Whom a group is about: the value of each field is a type and an address (RFC 3464 §2.3.1)."""
    fields = (str(group.get(name, "")) for name in ("Original-Recipient", "Final-Recipient"))
    addresses = (field.rpartition(";")[2].strip().strip("<>") for field in fields)
    return {did_of_local_part(address.rpartition("@")[0]) for address in addresses}


def _outcome(groups: Sequence[Message]) -> Refused | Deferred | None:
    outcomes: list[Refused | Deferred] = []
    for group in groups:
        status = status_of_field(str(group.get("Status", "")))
        action = _action_of(group)
        if action in _ARRIVED:
            # Somebody has it.
            return None
        if action not in ("failed", "delayed"):
            continue
        diagnostic = str(group.get("Diagnostic-Code", "")).partition(";")[2].strip()
        outcomes.append(outcome_of_report(failed=action == "failed", status=status, diagnostic=diagnostic))
    # While one of several still waits, nothing has failed.
    return min(outcomes, key=lambda outcome: isinstance(outcome, Refused), default=None)


def _action_of(group: Message) -> str:
    """The Action field, which a comment may follow; by the class of the status where there is none."""
    words = re.split(r"[\s(]+", str(group.get("Action", "")).strip().lower(), maxsplit=1)
    if words[0]:
        return words[0]
    status = status_of_field(str(group.get("Status", "")))
    return {"2": "delivered", "4": "delayed", "5": "failed"}.get((status or " ")[0], "")


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    """64 octets for AES-256-SIV, derived from the installation's secret (HKDF, RFC 5869)."""
    return HKDF(SHA256(), length=64, salt=None, info=b"waxwing bounce address").derive(secret.encode())
