"""Names within the archive: harmless on every system, and never twice."""

from __future__ import annotations

import re

from webmail.blobs.names import safe_name

#: Bytes of UTF-8 of what others chose to call something; paths may have 260 characters on some systems.
LONGEST = 80

#: What some systems keep for themselves in names.
_RESERVED = re.compile(r'[<>:"|?*]')


def place_name(number: int, name: str) -> str:
    """``0001 Bob``: the number makes it one of its own, whatever others call themselves."""
    # A slash in the name of a group is no folder.
    kept = _cut(safe_name(_RESERVED.sub("_", re.sub(r"[/\\]", "_", name))))
    return f"{number:04d} {kept}".rstrip()


def file_name(number: int, name: str) -> str:
    """``000001 holiday.jpg``, with the ending kept."""
    stem, dot, ending = _RESERVED.sub("_", safe_name(name)).rpartition(".")
    if not stem or len(ending.encode()) > 16:
        stem, dot, ending = stem + dot + ending, "", ""
    return f"{number:06d} {_cut(stem)}{dot}{ending}".rstrip(" .")


def _cut(name: str) -> str:
    return name.encode()[:LONGEST].decode(errors="ignore").strip(" .")
