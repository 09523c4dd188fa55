"""What the DNS says of hosts: addresses, the addresses' names, and who may certify them."""

from collections.abc import Iterator

from outbound import is_public

from .findings import Finding, State, shown
from .questions import Authority, Questions, reverse_name

#: Those that an authority has to understand (RFC 8659 §4, RFC 9495, RFC 8657).
_KNOWN_TAGS = ("issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone")


def addresses(host: str, dns: Questions, *, stops_mail: bool) -> Iterator[Finding]:
    """That others find the host, under an address that is reachable for them. Raises DnsUnanswered."""
    found = {kind: dns.addresses(host, kind) for kind in ("A", "AAAA")}
    if not found["A"]:
        said = "There is none." if not found["AAAA"] else "Who has no IPv6 does not find it."
        publish = f"{host}. IN A (the IPv4 address of this host)"
        yield Finding(host, "A", State.WRONG, said, publish, stops_mail)
    for kind, some in found.items():
        for address in some:
            if is_public(address):
                yield Finding(host, kind, State.RIGHT, f"{address}.", stops_mail=stops_mail)
            else:
                said = f"Nobody else reaches {address}, which is not public."
                publish = f"{host}. IN {kind} (the public address of this host)"
                yield Finding(host, kind, State.WRONG, said, publish, stops_mail)


def reverse_names(host: str, dns: Questions, *, stops_mail: bool) -> Iterator[Finding]:
    """That the host's addresses have its name, as servers ask of who brings mail. Raises DnsUnanswered."""
    for kind in ("A", "AAAA"):
        for address in filter(is_public, dns.addresses(host, kind)):
            name = reverse_name(address)
            names = dns.names(address)
            # Mail leaves by IPv4 (deploy/postfix/start).
            matters = stops_mail and kind == "A"
            if host in names:
                yield Finding(name, "PTR", State.RIGHT, f"{address} is {host}.", stops_mail=matters)
            else:
                named = shown(", ".join(names)) or "nobody"
                said = f"{address} is {named}, which who gave you the address can change."
                yield Finding(name, "PTR", State.WRONG, said, f"{name}. IN PTR {host}.", matters)


def authorities(host: str, authority: str, dns: Questions) -> Iterator[Finding]:
    """Where a CAA record forbids the authority to certify the host (RFC 8659 §3). Raises DnsUnanswered."""
    labels = host.split(".")
    for start in range(len(labels)):
        name = ".".join(labels[start:])
        if records := dns.authorities(name):
            if not permits(records, authority):
                said = f"{authority} may not certify {host}; does somebody else (--ca)?"
                publish = f'{name}. IN CAA 0 issue "{authority}"'
                yield Finding(name, "CAA", State.WRONG, said, publish, stops_mail=False)
            return


def permits(records: list[Authority], authority: str) -> bool:
    """Whether the records let the authority certify the name itself (RFC 8659 §4.2)."""
    if any(record.critical and record.tag not in _KNOWN_TAGS for record in records):
        return False
    issuers = [record.value.partition(";")[0].strip().lower() for record in records if record.tag == "issue"]
    return not issuers or authority.lower() in issuers
