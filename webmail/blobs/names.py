"""What other people call their files, made harmless for a page, a header and a disk."""

import re
import unicodedata

MAX_NAME_BYTES = 255
OTHER_TYPE = "application/octet-stream"

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
#: The longest ending that is kept when a name is cut.
_MAX_ENDING = 16


def safe_name(name: str) -> str:
    """The last part of a path, without control characters and marks of direction, at most 255 bytes of UTF-8.

    Empty where nothing is left.
    """
    name = re.split(r"[/\\]", name)[-1]
    kept = (" " if character.isspace() else character for character in name)
    name = "".join(character for character in kept if unicodedata.category(character) not in _LEFT_OUT)
    name = re.sub(r" +", " ", name).strip(" .") if name.strip(" .") else ""
    return _cut(name)


def safe_type(media_type: str) -> str:
    """A media type without parameters, in lower case; that of any bytes where it is none."""
    media_type = media_type.partition(";")[0].strip().lower()
    return media_type if _TYPE.fullmatch(media_type) else OTHER_TYPE


#: Control, format (among them the marks of direction), surrogate and private characters, line and paragraph
#: separators, and what is not assigned.
_LEFT_OUT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _cut(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > _MAX_ENDING:
        stem, dot, ending = name, "", ""
    room = MAX_NAME_BYTES - len((dot + ending + "…").encode())
    return stem.encode()[:room].decode(errors="ignore") + "…" + dot + ending
