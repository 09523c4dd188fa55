"""The charsets that text in a mail may be in: those of text alone, which take time in proportion to it.

Python knows codecs that are no charsets, such as "undefined", and some that take time with the square of what
they decode, such as "punycode" and "idna"; a mail may name any of them.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases

_CODECS = frozenset(
    {
        *("ascii", "latin_1", "utf_8", "utf_8_sig", "utf_7"),
        *("utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"),
        *(f"iso8859_{number}" for number in range(2, 17) if number != 12),
        *(f"cp{number}" for number in range(1250, 1259)),
        *("cp437", "cp850", "cp852", "cp855", "cp858", "cp862", "cp866", "cp874", "tis_620"),
        *("koi8_r", "koi8_t", "koi8_u", "kz1048", "ptcp154"),
        *("mac_roman", "mac_latin2", "mac_cyrillic", "mac_greek", "mac_turkish", "mac_iceland"),
        *("gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "cp950"),
        *("shift_jis", "shift_jis_2004", "shift_jisx0213", "cp932"),
        *("euc_jp", "euc_jis_2004", "euc_jisx0213", "euc_kr", "cp949", "johab", "iso2022_kr"),
        *("iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_2004", "iso2022_jp_ext"),
    }
)
_BY_LABEL = {label: codec for label, codec in aliases.items() if codec in _CODECS} | {
    codec: codec for codec in _CODECS
}
_LONGEST_LABEL = 60
#: How many octets are looked at for each letter.
_WIDEST = 4


def decoded(octets: bytes, label: str, most: int) -> str:
    """The beginning of a text, at most ``most`` letters: in the charset of that label, else in UTF-8, else in
    the one that most mail without one has. Every letter can be encoded again: what is half a character (UTF-7
    knows such) is a question mark."""
    beginning = octets[: _WIDEST * most]
    is_whole = len(beginning) == len(octets)
    for codec in (_codec(label), "utf_8"):
        if codec is not None:
            try:
                # What is cut may end within a character.
                text = codecs.getincrementaldecoder(codec)().decode(beginning, final=is_whole)
            except UnicodeError:
                continue
            return text.encode("utf-8", "replace").decode()[:most]
    return beginning.decode("cp1252", "replace")[:most]


def _codec(label: str) -> str | None:
    """Looked up here and not by Python, which remembers every name that it was ever asked for."""
    return _BY_LABEL.get(re.sub(r"[^a-z0-9]+", "_", label[:_LONGEST_LABEL].strip().lower()))
