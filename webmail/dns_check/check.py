"""All that deploy/README.md has an operator publish, one finding after another."""

from collections.abc import Iterator

from . import hosts, mail
from .findings import Finding, State
from .installation import Installation
from .questions import DnsUnanswered, Questions


def check(ours: Installation, dns: Questions) -> Iterator[Finding]:
    """Asks for one record after another; that nobody answers is a finding, too."""
    names = {ours.page_host: True, ours.frame_host: False, ours.mail_host: True}
    names.pop("", None)
    for host, needed in names.items():
        yield from _asked(host, "A", needed, hosts.addresses(host, dns, stops_mail=needed))
    if ours.mail_host:
        domain, host, sends = ours.mail_domain, ours.mail_host, not ours.relayed
        yield from _asked(domain, "MX", True, mail.mail_servers(ours, dns))
        yield from _asked(host, "PTR", sends, hosts.reverse_names(host, dns, stops_mail=sends))
        yield from _asked(domain, "SPF", True, mail.senders(ours, dns))
        yield from _asked(mail.signing_name(ours), "DKIM", True, mail.signing_key(ours, dns))
        yield from _asked(f"_dmarc.{domain}", "DMARC", False, mail.policy(ours, dns))
    for host in names:
        yield from _asked(host, "CAA", False, hosts.authorities(host, ours.authority, dns))


def _asked(name: str, kind: str, stops_mail: bool, findings: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except DnsUnanswered as error:
        yield Finding(name, kind, State.UNANSWERED, f"{error}.", stops_mail=stops_mail)
