"""What the DNS says of the domain's mail: who takes it, who may send it, and how others check that."""

from collections.abc import Iterator

from . import spf
from .findings import Finding, State, shown
from .installation import Installation
from .questions import Questions
from .tags import TagError, tags_of


def mail_servers(ours: Installation, dns: Questions) -> Iterator[Finding]:
    """That mail for the domain comes here first. Raises DnsUnanswered, as all of these."""
    domain, host = ours.mail_domain, ours.mail_host
    found = dns.mail_servers(domain)
    if found[:1] == [host]:
        yield Finding(domain, "MX", State.RIGHT, f"{host}.")
    elif not found and host == domain:
        # Without MX the domain's own address counts (RFC 5321 §5.1).
        yield Finding(domain, "MX", State.RIGHT, "None is needed, since the domain is the host.")
    else:
        names = shown(", ".join(name or "nobody" for name in found)) or "nobody"
        said = f"Mail for {domain} is taken to {names}."
        yield Finding(domain, "MX", State.WRONG, said, f"{domain}. IN MX 10 {host}.")


def senders(ours: Installation, dns: Questions) -> Iterator[Finding]:
    """That SPF lets the host's addresses send mail of the domain (RFC 7208)."""
    domain = ours.mail_domain
    records = [text for text in dns.texts(domain) if spf.is_spf(text)]
    if len(records) != 1:
        said = "There are several, and so none counts: keep one." if records else "There is no SPF record."
        yield Finding(domain, "SPF", State.WRONG, said, _spf_line(domain, spf.NOBODY_ELSE))
        return
    (record,) = records
    if ours.relayed:
        said = f"See that it names the servers by which RELAYHOST sends: {shown(record)}"
        yield Finding(domain, "SPF", State.UNCLEAR, said)
        return
    # Mail leaves by IPv4 (deploy/postfix/start).
    for address in dns.addresses(ours.mail_host, "A"):
        verdict = spf.judge(record, spf.Server(ours.mail_host, address), domain)
        state, said = _SPF[verdict]
        better = spf.NOBODY_ELSE if verdict is spf.Verdict.BROKEN else spf.allowing(record)
        publish = _spf_line(domain, better) if state is State.WRONG else ""
        yield Finding(domain, "SPF", state, said.format(address=address, record=shown(record)), publish)


def _spf_line(domain: str, record: str) -> str:
    return f'{domain}. IN TXT "{record}"'


_SPF = {
    spf.Verdict.PASSES: (State.RIGHT, "It lets {address} send."),
    spf.Verdict.FAILS: (State.WRONG, "It does not let {address} send: {record}"),
    spf.Verdict.ANYBODY: (State.WRONG, "It lets anybody send in your name: {record}"),
    spf.Verdict.DEPENDS: (State.UNCLEAR, "See that what it refers to lets {address} send: {record}"),
    spf.Verdict.BROKEN: (State.WRONG, "Others can't read it: {record}"),
}


def signing_key(ours: Installation, dns: Questions) -> Iterator[Finding]:
    """That the key that signs here is the one in the DNS (RFC 6376 §3.6.1)."""
    name = signing_name(ours)
    if not ours.dkim_value:
        yield Finding(name, "DKIM", State.UNCLEAR, "Nobody signs mail here, as far as this process knows.")
        return
    records = dns.texts(name)
    publish = f"{name}. IN TXT {quoted(ours.dkim_value)}"
    if len(records) == 1 and is_key(records[0], ours.dkim_value):
        yield Finding(name, "DKIM", State.RIGHT, "It is the key that signs here.")
        return
    said = ("There is no record.", "It is not the key that signs here.", "There are several records.")
    yield Finding(name, "DKIM", State.WRONG, said[min(len(records), 2)], publish)


def signing_name(ours: Installation) -> str:
    return f"{ours.dkim_selector or 'waxwing'}._domainkey.{ours.mail_domain}"


def is_key(published: str, value: str) -> bool:
    """Whether others who read `published` check signatures by the RSA key of the record `value`."""
    try:
        tags = tags_of(published)
    except TagError:
        return False
    return (
        tags.get("p") == tags_of(value)["p"]
        and ("v" not in tags or (next(iter(tags)), tags["v"]) == ("v", "DKIM1"))
        and tags.get("k", "rsa") == "rsa"
        and "sha256" in tags.get("h", "sha256").split(":")
        and bool({"*", "email"} & set(tags.get("s", "*").split(":")))
        # Who only tries it out has signatures that count for nothing.
        and "y" not in tags.get("t", "").split(":")
    )


def quoted(value: str) -> str:
    """A TXT value as a zone file has it, in strings of 255 octets at most (RFC 1035 §3.3)."""
    return " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))


def policy(ours: Installation, dns: Questions) -> Iterator[Finding]:
    """That others are told what to do with mail that only claims to be of the domain (DMARC, RFC 7489 §6)."""
    name = f"_dmarc.{ours.mail_domain}"
    labels = ours.mail_domain.split(".")
    # A domain without one has its organisation's, which has two labels or more.
    for start in range(max(1, len(labels) - 1)):
        at = "_dmarc." + ".".join(labels[start:])
        records = [text for text in dns.texts(at) if text.replace(" ", "").lower().startswith("v=dmarc1")]
        if records:
            break
    publish = f'{name}. IN TXT "v=DMARC1; p=none"'
    if not records:
        yield Finding(name, "DMARC", State.WRONG, "There is no record.", publish, stops_mail=False)
    elif len(records) > 1:
        said = f"There are several at {at}, and so none counts: keep one."
        yield Finding(name, "DMARC", State.WRONG, said, publish, stops_mail=False)
    elif not is_policy(records[0]):
        said = f"Others can't read it: {shown(records[0])}"
        yield Finding(name, "DMARC", State.WRONG, said, publish, stops_mail=False)
    else:
        yield Finding(name, "DMARC", State.RIGHT, shown(records[0]), stops_mail=False)


def is_policy(text: str) -> bool:
    try:
        tags = tags_of(text)
    except TagError:
        return False
    return tags.get("v") == "DMARC1" and tags.get("p", "").lower() in ("none", "quarantine", "reject")
