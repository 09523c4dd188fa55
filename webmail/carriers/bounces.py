"""The return address of outgoing mail, and reading the reports that come back to it."""

import base64
import binascii
import re
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .outcomes import Outcome, outcome_of_status_code

MAX_TOKEN = 16
#: Reports are small: the headers of one short mail and a few lines. More is not read.
MAX_REPORT = 256 * 1024
_MAX_PARTS = 12

_LOCAL_PART = re.compile(r"b\+([a-z2-7]{28,52})")


def bounce_local_part(token: str, secret: str) -> str:
    """An opaque local part that stands for `token` (1 to 16 octets of UTF-8), at most 54 characters.

    The token is encrypted and authenticated (AES-SIV, RFC 5297), so that nobody learns from it whose
    delivery it is, and nobody can make up a report for a delivery. The same token gives the same local part.
    """
    data = token.encode()
    if not 1 <= len(data) <= MAX_TOKEN:
        raise ValueError("a bounce token has 1 to 16 octets")
    sealed = AESSIV(_key(secret)).encrypt(data, None)
    return "b+" + base64.b32encode(sealed).decode("ascii").rstrip("=").lower()


def token_of_local_part(local_part: str, secret: str) -> str | None:
    """The token that a local part stands for, in any case; None for every other local part."""
    match = _LOCAL_PART.fullmatch(local_part.lower())
    if match is None:
        return None
    text = match[1].upper()
    try:
        sealed = base64.b32decode(text + "=" * (-len(text) % 8))
        return AESSIV(_key(secret)).decrypt(sealed, None).decode()
    except (binascii.Error, InvalidTag, ValueError):
        return None


def outcome_in_report(raw: bytes) -> Outcome | None:
    """What a delivery status notification (RFC 3464) says of its first recipient; None if it is none.

    Only a report of failure or delay is an outcome: "delivered" and "relayed" reports are None as well.
    Looks at no more than MAX_REPORT octets.
    """
    message = _report(raw[:MAX_REPORT])
    if message is None:
        return None
    for fields in _status_fields(message):
        action = str(fields.get("Action", "")).strip().lower()
        status = str(fields.get("Status", "")).strip()
        if action not in ("failed", "delayed") or not re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", status):
            continue
        diagnostic = str(fields.get("Diagnostic-Code", "")).partition(";")[2]
        if action == "delayed":
            status = "4" + status[1:]
        return outcome_of_status_code(status, diagnostic)
    return None


def _report(raw: bytes) -> Message | None:
    """The parsed report; None when it is not one, before its parts are parsed at all."""
    header = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
    if not re.search(rb"(?im)^content-type:\s*multipart/report\b", header):
        return None
    # The parser nests as deep as the mail does; a report nests the returned mail and no further.
    if raw.lower().count(b"content-type:") > _MAX_PARTS:
        return None
    return message_from_bytes(raw, policy=compat32)


def _status_fields(message: Message) -> list[Message]:
    """The groups of fields about each recipient (RFC 3464 §2.3)."""
    groups: list[Message] = []
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            groups += [group for group in part.get_payload() if isinstance(group, Message)]
    return groups


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    """64 octets for AES-256-SIV, derived from the installation's secret (HKDF, RFC 5869)."""
    return HKDF(SHA256(), length=64, salt=None, info=b"waxwing bounce address").derive(secret.encode())
