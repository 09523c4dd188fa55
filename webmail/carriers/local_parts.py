"""What may stand before the @ of an address that mail is sent to."""

import re
import unicodedata

#: A dot-atom (RFC 5321 §4.1.2) of at most 64 octets, as a pattern.
LOCAL_PART = r"[!#-'*+\--9=?A-Z^-~]{1,64}"

_LONGEST_OCTETS = 64
_ASCII = re.compile(LOCAL_PART)
#: Letters, marks and digits. What cannot be seen, or turns other letters around, is in no address.
_BEYOND_ASCII = ("L", "M", "N")


def is_beyond_ascii(local_part: str) -> bool:
    """Whether it is one that only SMTPUTF8 carries (RFC 6531 §3.3)."""
    return (
        not local_part.isascii()
        and len(local_part.encode("utf-8", "replace")) <= _LONGEST_OCTETS
        and all(
            _ASCII.fullmatch(letter) if letter.isascii() else unicodedata.category(letter)[0] in _BEYOND_ASCII
            for letter in local_part
        )
    )
