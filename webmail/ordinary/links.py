"""Links of HTML mail whose words name another place than the one that they lead to."""

from __future__ import annotations

import html as entities
import re
import unicodedata
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import islice
from urllib.parse import urlsplit

import idna
from django.utils.translation import gettext as _

_HOST = re.compile(r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b(?!@)")
#: How browsers read the beginning of an address of the web, whatever of slashes is there.
_BEGINNING = re.compile(r"(https?):[/\\]*", re.IGNORECASE)
#: Letters of a link's words that are looked at, hosts among them, and links of one mail.
MOST_WORDS = 500
MOST_HOSTS = 5
MOST_LINKS = 500
LONGEST_HOST = 253


def with_places(cleaned: str) -> str:
    """Cleaned HTML, in which each link that names a host other than its own says where it leads."""
    links = _Links(cleaned)
    pieces, at = [], 0
    for end, place in links.told:
        told = entities.escape(_("leads to %(host)s") % {"host": place})
        pieces += [cleaned[at:end], f" <small>({told})</small>"]
        at = end
    return "".join([*pieces, cleaned[at:]])


@dataclass
class _Open:
    """A link that has not ended yet, and the words in it so far."""

    href: str
    words: list[str] = field(default_factory=list)
    length: int = 0


class _Links(HTMLParser):
    """Finds where such links end, in cleaned HTML. One may stand in a table within another."""

    def __init__(self, cleaned: str) -> None:
        super().__init__(convert_charrefs=True)
        #: Where a link ends, and the host that it leads to.
        self.told: list[tuple[int, str]] = []
        self._lines = [0, *(found.end() for found in re.finditer("\n", cleaned))]
        self._open: list[_Open] = []
        self._seen = 0
        self.feed(cleaned)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open.append(_Open(dict(attrs).get("href") or ""))

    def handle_data(self, data: str) -> None:
        for link in self._open[-2:]:
            seen = _seen(data[: 4 * MOST_WORDS])[: MOST_WORDS - link.length]
            link.words.append(seen)
            link.length += len(seen)

    def handle_endtag(self, tag: str) -> None:
        if tag != "a" or not self._open:
            return
        link = self._open.pop()
        self._seen += 1
        place = misnamed(link.href, "".join(link.words)) if self._seen <= MOST_LINKS else ""
        if place:
            line, column = self.getpos()
            self.told.append((self._lines[line - 1] + column + len("</a>"), place))


def misnamed(href: str, words: str) -> str:
    """The host to which a link leads whose words name hosts, and not this one; "" where they name it or none.

    A host beyond ASCII is told by its name in DNS.
    """
    host = _host_of(href)
    if not host:
        return ""
    named = [_in_dns(found[0]) for found in islice(_HOST.finditer(_plain(words)), MOST_HOSTS)]
    if not named or any(_are_one(host, each) for each in named):
        return ""
    return host


def _host_of(href: str) -> str:
    """The host of an address of the web as browsers read it (WHATWG URL); "" of any other."""
    # Browsers take no notice of these, wherever they are.
    address = re.sub("[\t\n\r]", "", href).strip()
    beginning = _BEGINNING.match(address)
    if beginning is None:
        return ""
    authority = re.split(r"[/\\?#]", address[beginning.end() :], maxsplit=1)[0]
    try:
        return _in_dns(urlsplit(f"//{authority}").hostname or "")
    except ValueError:
        return ""


def _seen(words: str) -> str:
    """Without what no one sees, and with one blank for many."""
    shown = "".join(letter for letter in words if unicodedata.category(letter) != "Cf")
    return re.sub(r"\s+", " ", shown)


def _plain(words: str) -> str:
    """With the letters that look like others as these."""
    return (
        unicodedata.normalize("NFKC", _seen(words)[:MOST_WORDS])[:MOST_WORDS].replace("\u3002", ".").lower()
    )


def _in_dns(host: str) -> str:
    if len(host) > LONGEST_HOST:
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return host.lower()


def _are_one(host: str, named: str) -> bool:
    return host == named or host.endswith(f".{named}") or named.endswith(f".{host}")
