"""The syntax of handles and DIDs (atproto "Handle" and "DID" specifications), without any look-up."""

import re
import unicodedata

import idna

HANDLE_PATTERN = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII
)
DID_PLC_PATTERN = re.compile(r"did:plc:[a-z2-7]{24}", re.ASCII)
DID_WEB_PATTERN = re.compile(
    r"did:web:([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?:%3A([0-9]{1,5}))?", re.ASCII
)
MAX_HANDLE_LENGTH = 253

#: What a handle is called when its owner's claim on it does not hold.
INVALID_HANDLE = "handle.invalid"
#: Top-level names that no handle may have (atproto "Handle" specification); "test" is for development.
RESERVED_NAMES = frozenset({"alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion"})


def cleaned(typed: str) -> str:
    """What a person meant by what they typed or pasted as a handle or DID.

    Drops surrounding space, a leading "@" or "at://", and invisible direction marks; a name in another
    script becomes its "xn--" form, so that a look-alike is seen for what it is.
    """
    text = "".join(character for character in typed if unicodedata.category(character) not in ("Cf", "Cc"))
    text = text.strip().removeprefix("at://").removeprefix("@").strip().rstrip("/")
    if text.startswith("did:") or "://" in text:
        return text
    text = text.lower().rstrip(".")
    if text.isascii():
        return text
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError:
        return text


def is_handle(text: str, *, development: bool = False) -> bool:
    """Whether ``text`` is a handle in lower case. ``development`` also allows names under "test"."""
    if len(text) > MAX_HANDLE_LENGTH or not HANDLE_PATTERN.fullmatch(text):
        return False
    top = text.rpartition(".")[2]
    return top not in RESERVED_NAMES and (development or top != "test")


def is_did(text: str) -> bool:
    """Whether ``text`` is a DID of a method that atproto uses: did:plc, or did:web of a host name."""
    return bool(DID_PLC_PATTERN.fullmatch(text) or DID_WEB_PATTERN.fullmatch(text))
