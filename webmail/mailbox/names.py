"""The name under which a DID's mailbox is known: local part of its address, IMAP user, directory."""

import re

from .mailbox import MailboxError

# atproto blesses did:plc (24 base32 characters) and did:web without a path; a port is for loopback networks.
_DID = re.compile(
    r"did:(?:plc:[a-z2-7]{24}|web:(?=[^%]{1,200}(?:%|$))[a-z0-9-]+(?:\.[a-z0-9-]+)*(?:%3A[0-9]{1,5})?)"
)
_NAME = re.compile(r"did!(?:plc|web)![a-z0-9.%-]{1,210}")


def mailbox_name(did: str) -> str:
    """`did!plc!abc` for `did:plc:abc`, all in lower case (IMAP servers fold user names).

    It holds no "/", no control character and no segment "..", so it is safe as a directory name and
    in a protocol line. Raises MailboxError "refused" for anything that is not an atproto DID.
    """
    if len(did) > 220 or not _DID.fullmatch(did):
        raise MailboxError("refused", "not a DID that can have a mailbox")
    return did.replace(":", "!").lower()


def did_of_mailbox(name: str) -> str | None:
    """The DID of a mailbox name or of the local part of an address, in any case; None if it is none."""
    folded = name.lower()
    if not _NAME.fullmatch(folded):
        return None
    did = folded.replace("!", ":").replace("%3a", "%3A")
    return did if _DID.fullmatch(did) else None
