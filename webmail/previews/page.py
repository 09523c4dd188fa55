"""What a page says of itself, read in a process of its own within time and memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from webmail.previews.child import MOST_ADDRESS, MOST_DESCRIPTION, MOST_TITLE

CHILD = Path(__file__).with_name("child.py")
SECONDS = 5.0
#: Of a Content-Type; longer ones are no use, and parsers of mail headers take quadratic time for some.
MOST_HEADER = 200

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,40}")
_CHARSET = re.compile(rf"\s*charset\s*=\s*(\"?)({_LABEL.pattern})\1\s*", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class PageWords:
    """Title, description and the address of a picture, as the page has it; what it does not say is empty."""

    title: str = ""
    description: str = ""
    picture: str = ""

    def __bool__(self) -> bool:
        return bool(self.title or self.description)


def charset_in(content_type: str) -> str:
    """The label of a charset that a Content-Type says, as it is there; "" for none. No codec is looked up."""
    parameters = content_type[:MOST_HEADER].split(";")[1:]
    said = next(filter(None, map(_CHARSET.fullmatch, parameters)), None)
    return said[2] if said else ""


def read_page(page: bytes, charset: str, *, seconds: float = SECONDS) -> PageWords:
    """What an HTML page says of itself; nothing for one that is none, or asks for too much.

    ``charset`` is a label, which need not be one: the child knows those that pages may be in. It has at most
    ``seconds``, and never more than SECONDS.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(CHILD), charset if _LABEL.fullmatch(charset) else ""],
            input=page,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=min(SECONDS, max(0.0, seconds)),
            env={},
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return PageWords()
    return told(done.stdout)


def told(answer: bytes) -> PageWords:
    """What a child said; one that was stopped by its limits, or taken over, says nothing."""
    try:
        words = json.loads(answer)
        title, description, picture = words["title"], words["description"], words["picture"]
        found = PageWords(
            _bounded(title, MOST_TITLE),
            _bounded(description, MOST_DESCRIPTION),
            _bounded(picture, MOST_ADDRESS),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return PageWords()
    return found


def _bounded(value: object, most: int) -> str:
    """Raises ValueError for what is none of the words that a child says (UnicodeError is one)."""
    if not isinstance(value, str) or len(value) > most or "\x00" in value:
        raise ValueError("not the words of a page")
    # No half of a character, either.
    value.encode()
    return value
