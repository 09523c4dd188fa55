"""Message-IDs (RFC 5322 §3.6.4), which name a mail in the mails that answer it."""

from __future__ import annotations

import re

#: With their angle brackets. What stands between those may be much else by the letter; this is what is seen.
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,200}>")


def is_message_id(text: str) -> bool:
    """Whether a text is one, and nothing besides."""
    return _MESSAGE_ID.fullmatch(text) is not None


def message_ids_in(text: str) -> tuple[str, ...]:
    """Those of a field, in their order; whatever else it says is passed over."""
    return tuple(_MESSAGE_ID.findall(text))
