"""A process of its own for one page of somebody else, since nothing bounds what parsing its HTML may take.

Run by its path with Python's ``-I``, so that nothing of the webmail is in it: no setting, no secret, no
database. It reads a page from its input and writes one line of JSON. What it may use is limited before it
looks at the first byte.
"""

from __future__ import annotations

import codecs
import json
import re
import resource
import sys
import unicodedata
from html.parser import HTMLParser

MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 2
MOST_TITLE, MOST_DESCRIPTION, MOST_ADDRESS = 200, 300, 2048

#: Labels of the WHATWG's encodings, and what Python calls those that are another codec than their name says.
_OTHERWISE = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "big5": "big5hkscs",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "utf-16": "utf-16-le",
    "macintosh": "mac-roman",
}
#: Python knows codecs that are no charsets, and some that are slow on purpose.
_ENCODINGS = frozenset(
    {
        *("utf-8", "utf8", "utf-16le", "utf-16be", "gb18030", "euc-jp", "iso-2022-jp", "koi8-r", "koi8-u"),
        *(f"windows-{number}" for number in range(1250, 1259)),
        *(f"iso-8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
        *("ibm866", "big5-hkscs"),
    }
)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SAID = re.compile(
    rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([A-Za-z0-9_-]{2,40})", re.IGNORECASE
)
#: Characters that turn the direction of what follows them, also outside of the title.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: What is read, of `property` or `name` of a `<meta>`, the better one first.
_TITLES = ("og:title", "twitter:title")
_DESCRIPTIONS = ("og:description", "twitter:description", "description")
_PICTURES = ("og:image:secure_url", "og:image", "og:image:url", "twitter:image")


#: What a head may hold; anything else begins the body where no tag says so.
_OF_HEADS = frozenset({"html", "head", "meta", "title", "link", "base", "script", "style", "template"})


class _HeadIsOver(Exception):
    pass


class _Head(HTMLParser):
    """Collects what the head of a page says of it; the first of several holds."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: dict[str, str] = {}
        self.title: list[str] | None = None
        self._in_title = False
        self._without_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "noscript":
            # Heads have pictures in it, to count who looks.
            self._without_script = True
        elif tag == "body" or (self._begins_the_body(tag) and self.first(_TITLES)):
            raise _HeadIsOver
        if tag == "title" and self.title is None:
            self.title, self._in_title = [], True
        if tag == "meta":
            found = dict(attrs)
            name = (found.get("property") or found.get("name") or "").strip().lower()
            content = found.get("content") or ""
            if name in (*_TITLES, *_DESCRIPTIONS, *_PICTURES) and content.strip():
                self.said.setdefault(name, content)

    def handle_endtag(self, tag: str) -> None:
        if tag == "head":
            raise _HeadIsOver
        if tag == "title":
            self._in_title = False
        if tag == "noscript":
            self._without_script = False

    def _begins_the_body(self, tag: str) -> bool:
        return not self._without_script and tag not in _OF_HEADS

    def handle_data(self, data: str) -> None:
        if self._in_title and self.title is not None and len(self.title) < 100:
            self.title.append(data[:1000])

    def first(self, names: tuple[str, ...]) -> str:
        return next((self.said[name] for name in names if name in self.said), "")


def limit() -> None:
    """From here on this process may not use much, and can't write files."""
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def words_of(page: bytes, charset: str) -> dict[str, str]:
    """What the head of an HTML page says of it: ``title``, ``description`` and the address of a ``picture``.

    ``charset`` is what its server says, or "". The words are in one line each, of bounded length; what is not
    there is empty. Raises whatever the parser raises.
    """
    head = _Head()
    try:
        head.feed(text_of(page, charset))
        head.close()
    except _HeadIsOver:
        pass
    title = head.first(_TITLES) or "".join(head.title or ())
    picture = head.first(_PICTURES).strip()
    return {
        "title": one_line(title, MOST_TITLE),
        "description": one_line(head.first(_DESCRIPTIONS), MOST_DESCRIPTION),
        "picture": picture if len(picture) <= MOST_ADDRESS and picture.isprintable() else "",
    }


def text_of(page: bytes, charset: str) -> str:
    """The page's text: by its mark, by what its server says, by what it says itself, or as UTF-8 if it can
    be, in this order; what is no character becomes a question mark."""
    for mark, encoding in _MARKS:
        if page.startswith(mark):
            return page[len(mark) :].decode(encoding, "replace")
    said = _SAID.search(page[:2048])
    for label in (charset, said[1].decode() if said else ""):
        if encoding := _encoding(label):
            return page.decode(encoding, "replace")
    try:
        # What was read may end within a character.
        return codecs.getincrementaldecoder("utf-8")().decode(page, final=False)
    except UnicodeDecodeError:
        return page.decode("cp1252", "replace")


def one_line(words: str, most: int) -> str:
    """The words in one line of bounded length, without what is not shown or turns the direction."""
    letters = (" " if letter.isspace() else letter for letter in words[: 20 * most])
    shown = "".join(letter for letter in letters if letter not in _TURNING and _is_shown(letter))
    line = " ".join(shown.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "\u2026"


def _is_shown(letter: str) -> bool:
    return unicodedata.category(letter) not in ("Cc", "Cs", "Co", "Cn")


def _encoding(label: str) -> str:
    name = label.strip().lower()
    return _OTHERWISE.get(name) or (name if name in _ENCODINGS else "")


def main(charset: str) -> int:
    limit()
    try:
        told = words_of(sys.stdin.buffer.read(), charset)
    except Exception:
        # Whatever a parser makes of what is no page.
        told = {"title": "", "description": "", "picture": ""}
    sys.stdout.write(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
