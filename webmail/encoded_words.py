"""Text in the header of a mail, as encoded words (RFC 2047) where it is not plain.

EmailMessage is not given text: it decodes what looks like an encoded word, and what it writes then depends on
the version of Python. What is returned here is ASCII, folded, and goes into a header as it is.
"""

from __future__ import annotations

import re
from email.header import Header

#: What could end a line, for any reader; Python's own splits at more than CR and LF.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: An encoded word has at most 75 characters (RFC 2047 §2), and a space before it.
_LONGEST_LINE = 75
#: Words that stand before an address without quotes; with quotes, a fold may lose them.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*")


def unstructured(field: str, text: str, *, line_end: str) -> str:
    """The value of a field such as Subject. `text` with "=?" is encoded, so that nobody decodes what it says.

    Raises ValueError for control characters and for what is not Unicode.
    """
    return _folded(text, text.isascii() and "=?" not in text, field, line_end)


def mailbox(name: str, address: str, *, line_end: str) -> str:
    """A name and an address (RFC 5322 §3.4), the address on a line of its own. `address` is an addr-spec.

    A name of more than letters, digits and spaces is encoded. Raises ValueError as above, and for an address
    that could end its field.
    """
    if not re.fullmatch(r"[!-~]+", address) or re.search(r"[<>]", address):
        raise ValueError("the address cannot stand in a header")
    if not name:
        return f"<{address}>"
    return f"{_folded(name, _PLAIN_NAME.fullmatch(name) is not None, 'From', line_end)}{line_end} <{address}>"


def _folded(text: str, plain: bool, field: str, line_end: str) -> str:
    if _CONTROL.search(text):
        raise ValueError(f"control characters in {field}")
    charset = "us-ascii" if plain else "utf-8"
    return Header(text, charset, maxlinelen=_LONGEST_LINE, header_name=field).encode(linesep=line_end)
