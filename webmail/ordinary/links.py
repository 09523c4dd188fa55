"""Links of HTML mail whose words name another place than the one that they lead to."""

from __future__ import annotations

import html as entities
import re
import unicodedata
from urllib.parse import urlsplit

import idna
from django.utils.translation import gettext as _

#: As webmail.ordinary.html writes them, which nest in no other.
_LINK = re.compile(r'<a href="(?P<href>[^"]*)"[^>]*>(?P<words>.*?)</a>', re.DOTALL)
_ELEMENT = re.compile(r"<[^>]*>")
_HOST = re.compile(r"(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}\b(?!@)")
#: Letters of a link's words that are looked at.
MOST_WORDS = 500


def with_places(cleaned: str) -> str:
    """Cleaned HTML, in which each link that names a host other than its own says where it leads."""
    return _LINK.sub(_with_place, cleaned)


def _with_place(link: re.Match[str]) -> str:
    place = misnamed(entities.unescape(link["href"]), entities.unescape(_ELEMENT.sub("", link["words"])))
    if not place:
        return link[0]
    told = _("leads to %(host)s") % {"host": place}
    return f"{link[0]} <small>({entities.escape(told)})</small>"


def misnamed(href: str, words: str) -> str:
    """The host to which a link leads whose words name hosts, and not this one; "" where they name it or none.

    A host beyond ASCII is told by its name in DNS.
    """
    try:
        parts = urlsplit(href)
        host = _in_dns(parts.hostname or "")
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    named = {_in_dns(found) for found in _HOST.findall(_plain(words))}
    if not named or any(_are_one(host, each) for each in named):
        return ""
    return host


def _plain(words: str) -> str:
    """Without what no one sees, and with the letters that look like others as these."""
    seen = (letter for letter in words[:MOST_WORDS] if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", "".join(seen)).replace("\u3002", ".").lower()


def _in_dns(host: str) -> str:
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return host.lower()


def _are_one(host: str, named: str) -> bool:
    return host == named or host.endswith(f".{named}") or named.endswith(f".{host}")
