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
    """What the record says of mail of `domain` from the server; the first mechanism that matches decides."""
    depends = False
    terms = record.lower().split()[1:]
    for term in terms:
        if re.match(r"[a-z][a-z0-9_.-]*=", term):
            # redirect= counts where nothing matches; others say nothing of who may send.
            continue
        if not (read := _MECHANISM.fullmatch(term)):
            return Verdict.BROKEN
        qualifier, name, value, length = read.groups()
        try:
            matches = _matches(name, value.removeprefix(":"), length, server, domain)
        except ValueError:
            return Verdict.BROKEN
        if matches is None:
            depends = True
        elif matches and qualifier in ("", "+"):
            return Verdict.ANYBODY if name == "all" else Verdict.PASSES
        elif matches:
            return Verdict.DEPENDS if depends else Verdict.FAILS
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
