"""What names and handles are compared by when people are looked for: without accents, case, and order."""

import re
import unicodedata

from accounts.handles import INVALID_HANDLE

#: Characters of one name that are looked through: letters may come apart into many.
MOST_LOOKED_THROUGH = 2000
BETWEEN_WORDS = re.compile(r"[\s.\-_,()@]+")

#: Letters with a stroke or in one piece, which Unicode does not take apart.
_IN_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


def folded(text: str) -> str:
    """Text without accents and case, as it is compared."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(one for one in apart if unicodedata.category(one) not in ("Mn", "Cf", "Cc"))
    return plain.casefold().translate(_IN_PLAIN)


def words_of(name: str) -> str:
    """The words of a name or handle, folded, each once behind a blank; empty for what leads to nobody.

    "Zoë Müller-Łuczak" is " zoe muller-luczak muller luczak": a word without blanks is in the name where it
    is in this, and begins one of its words where it is in this behind a blank.
    """
    if name == INVALID_HANDLE:
        return ""
    plain = folded(name)
    words = dict.fromkeys((*plain.split(), *BETWEEN_WORDS.split(plain)))
    return "".join(f" {word}" for word in words if word)[:MOST_LOOKED_THROUGH]
