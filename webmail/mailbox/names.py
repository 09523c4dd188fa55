"""The name under which a DID's mailbox is known: local part of its address, IMAP user, directory."""

import base64
import binascii
import re

from .mailbox import MailboxError

# atproto blesses did:plc (24 base32 characters) and did:web without a path; a port is for loopback networks.
_DID = re.compile(
    r"did:(?:plc:[a-z2-7]{24}|web:(?=[^%]{1,200}(?:%|$))[a-z0-9-]+(?:\.[a-z0-9-]+)*(?:%3A[0-9]{1,5})?)"
)


def mailbox_name(did: str) -> str:
    """`did!plc!abc` for `did:plc:abc`, all in lower case (IMAP servers fold user names).

    It holds no "/", no control character and no segment "..", so it is safe as a directory name and
    in a protocol line. Raises MailboxError "refused" for anything that is not an atproto DID.
    """
    if len(did) > 220 or not _DID.fullmatch(did):
        raise MailboxError("refused", "not a DID that can have a mailbox")
    return did.replace(":", "!").lower()


def did_of_local_part(local: str) -> str | None:
    """The DID that the local part of a mail address stands for, in any case; None if it is none.

    Read are: `did!plc!…` and `did!web!…` (with `#` for `.` as well, protocol §1), the DID itself as a
    quoted local part, and the form of the certificate's address, `plc.…` and `web.<base64url>` (§2).
    """
    method, dot, rest = local.partition(".")
    if dot and method.lower() == "plc":
        return _checked(f"did:plc:{rest}")
    if dot and method.lower() == "web":
        try:
            decoded = base64.urlsafe_b64decode(rest.encode("ascii") + b"=" * (-len(rest) % 4))
            return _checked(f"did:web:{decoded.decode('ascii')}")
        except (UnicodeError, binascii.Error):
            return None
    # Postfix's verify(8) asks about addresses with "_" for ":", which no DID holds itself.
    return _checked(local.replace("!", ":").replace("_", ":").replace("#", "."))


def _checked(did: str) -> str | None:
    """The DID in its canonical case, if it is one."""
    folded = did.lower().replace("%3a", "%3A")
    return folded if len(folded) <= 220 and _DID.fullmatch(folded) else None
