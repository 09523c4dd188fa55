"""Whether an SPF record lets a server send mail of a domain (RFC 7208), without asking further."""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum

from outbound import IPAddress

_MECHANISM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)((?::[^/]*)?)((?:/.*)?)")
#: Mail comes from those who take it.
NOBODY_ELSE = "v=spf1 mx -all"
_REPLACED = ("mx", "+mx", "-mx", "~mx", "?mx", "all", "+all")
_PLAIN = re.compile(r"[ !#-\[\]-~]{1,255}")


class Verdict(StrEnum):
    PASSES = "passes"
    FAILS = "fails"
    #: Anybody may send.
    ANYBODY = "anybody"
    #: It depends on records that it refers to.
    DEPENDS = "depends"
    BROKEN = "broken"


@dataclass(frozen=True)
class Server:
    """Who sends: the host that takes the domain's mail, from one of its addresses."""

    host: str
    address: IPAddress


def is_spf(text: str) -> bool:
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def judge(record: str, server: Server, domain: str) -> Verdict:
    """What the record says of mail of `domain` from the server; the first mechanism that matches decides.

    What can't be read anywhere in it makes all of it void (RFC 7208 §4.6).
    """
    terms = record.lower().split()[1:]
    try:
        mechanisms = [
            (qualifier, name, _matches(name, value.removeprefix(":"), length, server, domain))
            for qualifier, name, value, length in map(_read, filter(_is_mechanism, terms))
        ]
    except ValueError:
        return Verdict.BROKEN
    depends = False
    for qualifier, name, matches in mechanisms:
        if matches is None:
            depends = True
        elif matches and qualifier in ("", "+"):
            return Verdict.ANYBODY if name == "all" else Verdict.PASSES
        elif matches:
            return Verdict.DEPENDS if depends else Verdict.FAILS
    # It counts where nothing matches.
    depends = depends or any(term.startswith("redirect=") for term in terms)
    return Verdict.DEPENDS if depends else Verdict.FAILS


def allowing(record: str) -> str:
    """The record with the domain's own mail servers before all else, and nobody but whom it names.

    A new one where it can't be a string of a zone file as it is, or would have more than its 255 octets.
    """
    terms = [term for term in record.split()[1:] if term.lower() not in _REPLACED]
    last = terms[-1].lower() if terms else ""
    ends = last in ("-all", "~all", "?all") or last.startswith("redirect=")
    changed = " ".join([NOBODY_ELSE.split()[0], "mx", *terms, *([] if ends else ["-all"])])
    return changed if _PLAIN.fullmatch(changed) else NOBODY_ELSE


def _is_mechanism(term: str) -> bool:
    """Of the others (redirect=, exp=) none says by itself who may send."""
    return not re.match(r"[a-z][a-z0-9_.-]*=", term)


def _read(term: str) -> tuple[str, str, str, str]:
    """Qualifier, name, value and length of a mechanism. Raises ValueError."""
    if not (read := _MECHANISM.fullmatch(term)):
        raise ValueError("no mechanism")
    qualifier, name, value, length = read.groups()
    return qualifier, name, value, length


def _matches(name: str, value: str, length: str, server: Server, domain: str) -> bool | None:
    """None where that is not known here. Raises ValueError for a network that is none."""
    if name == "all":
        return True
    if name in ("ip4", "ip6"):
        network = ipaddress.ip_network(value + length, strict=False)
        return server.address.version == network.version and server.address in network
    if name == "mx" and value in ("", domain):
        # That the MX is this server is looked at by itself.
        return True
    if name == "a" and (value or domain) == server.host:
        return True
    return None
