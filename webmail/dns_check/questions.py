"""Questions to the DNS, each bounded and all of them together."""

import ipaddress
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

from outbound import IPAddress

#: For one question, and for all.
QUESTION_SECONDS = 5.0
ALL_SECONDS = 45.0
PORT = 53


class DnsUnanswered(Exception):
    """Nobody said whether there is such a record; the message names the reason in a few words."""


class ServerError(ValueError):
    """A DNS server that can't be used; the message is for a person."""


class Authority(NamedTuple):
    """A CAA record (RFC 8659 §4.1)."""

    critical: bool
    tag: str
    value: str


class Questions:
    """Asks a resolver until `clock`, in seconds, is ALL_SECONDS further; an absent name has no records."""

    def __init__(self, resolver: dns.resolver.Resolver, clock: Callable[[], float]) -> None:
        self._resolver = resolver
        self._clock = clock
        self._until = clock() + ALL_SECONDS

    def addresses(self, host: str, kind: str) -> list[IPAddress]:
        """The A or AAAA records, aliases followed. Raises DnsUnanswered, as the others do."""
        return [ipaddress.ip_address(record.address) for record in self._records(host, kind)]

    def mail_servers(self, domain: str) -> list[str]:
        """In order of preference; "" for "takes no mail" (RFC 7505)."""
        records = sorted(self._records(domain, "MX"), key=lambda each: (each.preference, each.exchange))
        return [_text(record.exchange) for record in records]

    def texts(self, name: str) -> list[str]:
        """The TXT records, the strings of each joined; octets beyond ASCII as escapes."""
        return [
            b"".join(record.strings).decode("ascii", "backslashreplace")
            for record in self._records(name, "TXT")
        ]

    def names(self, address: IPAddress) -> list[str]:
        return [_text(record.target) for record in self._records(reverse_name(address), "PTR")]

    def authorities(self, name: str) -> list[Authority]:
        return [
            Authority(
                bool(record.flags & 128),
                record.tag.decode("ascii", "backslashreplace").lower(),
                record.value.decode("ascii", "backslashreplace"),
            )
            for record in self._records(name, "CAA")
        ]

    def _records(self, name: str, kind: str) -> list[Any]:
        seconds = min(QUESTION_SECONDS, self._until - self._clock())
        if seconds <= 0:
            raise DnsUnanswered("all answers together took too long")
        try:
            absolute = dns.name.from_text(name)
            return list(self._resolver.resolve(absolute, kind, lifetime=seconds, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.Timeout as error:
            raise DnsUnanswered(f"nobody answered within {seconds:.0f} seconds") from error
        except dns.resolver.NoNameservers as error:
            raise DnsUnanswered("the DNS servers answered with an error") from error
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise DnsUnanswered(type(error).__name__) from error


def reverse_name(address: IPAddress) -> str:
    """Where the names of an address are, without a final dot."""
    return _text(dns.reversename.from_address(str(address)))


def resolver_at(server: str | None) -> dns.resolver.Resolver:
    """Asks `server`, or those that this machine asks. Raises ServerError.

    `server` is an address, IPv6 in brackets, with a port after a colon if it is not 53.
    """
    try:
        if not server:
            return dns.resolver.Resolver()
        named = urlsplit(f"//{server}")
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [str(ipaddress.ip_address(named.hostname or ""))]
        resolver.port = named.port or PORT
    except (dns.exception.DNSException, ValueError, OSError) as error:
        raise ServerError(f"no DNS server can be asked: {server or 'none is configured'}") from error
    return resolver


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().rstrip(".")
