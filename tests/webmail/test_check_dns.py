"""`manage.py check_dns` against a real DNS server, whose records are right, or wrong in one way each."""

import io
import ipaddress
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from tests.services.compose import ROOT
from tests.services.dns_server import DnsServer, dns_server
from webmail.dns_check import questions
from webmail.dns_check.questions import DnsUnanswered, Questions, ServerError, resolver_at, reverse_name

SELECTOR = "waxwing-20261201-120000"
#: What stands under each kind where all is well; DOMAIN, ADDRESS and VALUE are filled in.
RIGHT = {
    "A": "mx.DOMAIN. A ADDRESS\nmx.DOMAIN. AAAA 2a00:1450::1",
    "pages": "pages.DOMAIN. A ADDRESS\nframes.DOMAIN. CNAME pages.DOMAIN.",
    "MX": "DOMAIN. MX 20 other.DOMAIN.\nDOMAIN. MX 10 mx.DOMAIN.",
    "SPF": 'DOMAIN. TXT "something else"\nDOMAIN. TXT "v=spf1 mx -all"',
    "DKIM": f"{SELECTOR}._domainkey.DOMAIN. TXT VALUE",
    "DMARC": '_dmarc.DOMAIN. TXT "v=DMARC1; p=none"',
    "CAA": 'DOMAIN. CAA 0 issue "letsencrypt.org"',
}


@dataclass(frozen=True)
class Case:
    """What differs from RIGHT, and what becomes of it. `name` is that of the domain below "test"."""

    name: str
    kind: str
    records: str
    state: str
    fails: bool = True


CASES = [
    Case("right", "A", RIGHT["A"], "right", fails=False),
    Case("no-address", "A", "mx.DOMAIN. AAAA 2a00:1450::1", "wrong"),
    Case("private", "A", "mx.DOMAIN. A 10.1.2.3", "wrong"),
    Case("no-pages", "pages", "frames.DOMAIN. A ADDRESS", "wrong"),
    Case("no-frames", "pages", "pages.DOMAIN. A ADDRESS", "wrong", fails=False),
    Case("no-mx", "MX", "", "wrong"),
    Case("null-mx", "MX", "DOMAIN. MX 0 .", "wrong"),
    Case("other-mx-first", "MX", "DOMAIN. MX 5 other.DOMAIN.\nDOMAIN. MX 10 mx.DOMAIN.", "wrong"),
    Case("no-spf", "SPF", "", "wrong"),
    Case("two-spf", "SPF", 'DOMAIN. TXT "v=spf1 mx -all"\nDOMAIN. TXT "v=spf1 -all"', "wrong"),
    Case("none-sends", "SPF", 'DOMAIN. TXT "v=spf1 -all"', "wrong"),
    Case("all-send", "SPF", 'DOMAIN. TXT "v=spf1 +all"', "wrong"),
    Case("other-network", "SPF", 'DOMAIN. TXT "v=spf1 ip4:9.8.0.0/16 ~all"', "wrong"),
    Case("broken-spf", "SPF", 'DOMAIN. TXT "v=spf1 ip4:9.9.0.0/99 -all"', "wrong"),
    Case("broken-end", "SPF", 'DOMAIN. TXT "v=spf1 mx ipv4:9.9.0.0/16 -all"', "wrong"),
    Case("network", "SPF", 'DOMAIN. TXT "v=spf1 ip4:9.9.0.0/16 -all"', "right", fails=False),
    Case("by-name", "SPF", 'DOMAIN. TXT "V=SPF1 a:mx.DOMAIN -all"', "right", fails=False),
    Case("included", "SPF", 'DOMAIN. TXT "v=spf1 include:other.test -all"', "unclear", fails=False),
    Case("no-key", "DKIM", "", "wrong"),
    Case("other-key", "DKIM", f'{SELECTOR}._domainkey.DOMAIN. TXT "v=DKIM1; k=rsa; p=MIIB"', "wrong"),
    Case("revoked", "DKIM", f'{SELECTOR}._domainkey.DOMAIN. TXT "v=DKIM1; p="', "wrong"),
    Case("cut", "DKIM", f"{SELECTOR}._domainkey.DOMAIN. TXT CUT", "wrong"),
    Case("trying", "DKIM", f'{SELECTOR}._domainkey.DOMAIN. TXT VALUE "; t=y"', "wrong"),
    Case("two-keys", "DKIM", RIGHT["DKIM"] + f'\n{SELECTOR}._domainkey.DOMAIN. TXT "p=MIIB"', "wrong"),
    Case("spaced", "DKIM", f"{SELECTOR}._domainkey.DOMAIN. TXT SPACED", "right", fails=False),
    Case("no-policy", "DMARC", "", "wrong", fails=False),
    Case("broken-policy", "DMARC", '_dmarc.DOMAIN. TXT "v=DMARC1; p=never"', "wrong", fails=False),
    Case("other-authority", "CAA", 'DOMAIN. CAA 0 issue "other.test"', "wrong", fails=False),
    Case("no-authority", "CAA", 'DOMAIN. CAA 0 issue ";"', "wrong", fails=False),
    Case("critical", "CAA", 'DOMAIN. CAA 128 tbs "x"', "wrong", fails=False),
    Case("any-authority", "CAA", 'DOMAIN. CAA 0 iodef "mailto:a@other.test"', "right", fails=False),
    Case("no-name", "PTR", "", "wrong"),
    Case("other-name", "PTR", "host.provider.test.", "wrong"),
]
ADDRESSES = {case.name: f"9.9.{number}.1" for number, case in enumerate(CASES)}


@pytest.fixture(scope="module")
def dkim_value(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The value that deploy/make-secrets made for the operator to publish."""
    folder = tmp_path_factory.mktemp("operator") / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets", "mx.right.test", folder], check=True)
    return (folder / "dkim_record").read_text()


def records_of(case: Case, dkim_value: str) -> str:
    strings = [dkim_value[:200], dkim_value[200:]]
    lines = "\n".join({**RIGHT, case.kind: case.records}.values() if case.kind in RIGHT else RIGHT.values())
    return (
        lines.replace("DOMAIN", f"{case.name}.test")
        .replace("ADDRESS", ADDRESSES[case.name])
        .replace("VALUE", " ".join(f'"{each}"' for each in strings))
        .replace("CUT", f'"{strings[0]}"')
        .replace("SPACED", f'" {strings[0]} " " {strings[1]};"')
    )


def names_of(case: Case) -> str:
    host = case.records if case.kind == "PTR" else f"mx.{case.name}.test."
    return f"{reverse_name(ipaddress.ip_address(ADDRESSES[case.name]))}. PTR {host}" if host else ""


def zones_of(records: list[str], names: list[str]) -> dict[str, str]:
    """All have one address of IPv6, whose names need an answer by TCP."""
    six = reverse_name(ipaddress.ip_address("2a00:1450::1"))
    return {
        "test": "\n".join(records),
        "in-addr.arpa": "\n".join(names),
        "ip6.arpa": "\n".join(f"{six}. PTR mx.{case.name}.test." for case in CASES),
    }


@pytest.fixture(scope="module")
def server(dkim_value: str) -> Iterator[DnsServer]:
    records = [records_of(case, dkim_value) for case in CASES]
    with dns_server(zones_of(records, [names_of(case) for case in CASES])) as running:
        yield running


@pytest.fixture(autouse=True)
def signing(settings: Settings, dkim_value: str) -> None:
    settings.DKIM_SELECTOR, settings.DKIM_RECORD, settings.RELAYHOST = SELECTOR, dkim_value, ""


def use(settings: Settings, domain: str) -> None:
    settings.MAIL_DOMAIN = domain
    settings.PUBLIC_URL = f"https://pages.{domain}"
    settings.FRAME_URL = f"https://frames.{domain}"
    settings.SMTP_PUBLIC_URL = f"smtp://mx.{domain}"


def checked(server: str, *options: str) -> tuple[list[dict[str, object]], bool]:
    """The findings, and whether the command failed."""
    out = io.StringIO()
    failed = False
    try:
        call_command("check_dns", "--json", "--server", server, *options, stdout=out)
    except CommandError:
        failed = True
    return [json.loads(line) for line in out.getvalue().splitlines()], failed


def about(case: Case, findings: list[dict[str, object]]) -> list[dict[str, object]]:
    """What was found of the records in which the case differs. No CAA record is named that permits."""
    if case.kind in ("A", "pages"):
        hosts = ["mx"] if case.kind == "A" else ["pages", "frames"]
        names = [f"{host}.{case.name}.test" for host in hosts]
        return [each for each in findings if each["kind"] == "A" and each["name"] in names]
    return [each for each in findings if each["kind"] == case.kind]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_is_wrong_is_said_and_nothing_else(case: Case, server: DnsServer, settings: Settings) -> None:
    use(settings, f"{case.name}.test")
    findings, failed = checked(server.address)
    states = {str(each["state"]) for each in about(case, findings)}
    if case.kind == "CAA" and case.state == "right":
        assert states == set()
    else:
        assert case.state in states
    assert failed is case.fails
    own = about(case, findings)
    assert {each["state"] for each in findings if each not in own} == {"right"}
    for each in own:
        assert bool(each["publish"]) is (each["state"] == "wrong")


def test_what_it_says_to_publish_is_right(server: DnsServer, settings: Settings, dkim_value: str) -> None:
    """In the place of what was wrong. The address of the host is for the operator to know."""
    records, names = [], []
    for case in (wrong := [case for case in CASES if case.state == "wrong"]):
        use(settings, f"{case.name}.test")
        lines = {
            re.sub(r"\(the .* address of this host\)", ADDRESSES[case.name], str(each["publish"]))
            for each in about(case, checked(server.address)[0])
            if each["publish"]
        }
        assert lines, case.name
        kept = case.records if case.kind in ("A", "pages") and case.name != "private" else ""
        records.append(records_of(replace(case, records=kept), dkim_value))
        names.append("" if case.kind == "PTR" else names_of(case))
        (names if case.kind == "PTR" else records).extend(lines)
    with dns_server(zones_of(records, names)) as published:
        for case in wrong:
            use(settings, f"{case.name}.test")
            findings, failed = checked(published.address)
            assert [each for each in findings if each["state"] != "right"] == [], case.name
            assert not failed


def test_a_domain_that_nobody_answers_for_is_no_answer(server: DnsServer, settings: Settings) -> None:
    use(settings, "elsewhere.example")
    findings, failed = checked(server.address)
    assert {each["state"] for each in findings} == {"no answer"}
    assert {each["kind"] for each in findings} == {"A", "MX", "PTR", "SPF", "DKIM", "DMARC", "CAA"}
    assert failed


def test_a_server_that_never_answers_holds_nobody_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "QUESTION_SECONDS", 0.1)
    use(settings, "right.test")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        findings, failed = checked(f"127.0.0.1:{silent.getsockname()[1]}")
    assert {each["state"] for each in findings} == {"no answer"}
    assert failed


def test_when_all_took_too_long_nobody_is_asked_any_more(server: DnsServer) -> None:
    times = iter([0.0, 1.0, questions.ALL_SECONDS])
    asking = Questions(resolver_at(server.address), lambda: next(times))
    assert asking.mail_servers("right.test") == ["mx.right.test", "other.right.test"]
    with pytest.raises(DnsUnanswered, match="too long"):
        asking.mail_servers("right.test")


def test_with_a_relay_host_its_own_address_needs_no_name(server: DnsServer, settings: Settings) -> None:
    settings.RELAYHOST = "[relay.test]"
    use(settings, "no-name.test")
    findings, failed = checked(server.address)
    states = {(each["kind"], each["state"]) for each in findings}
    assert {("PTR", "wrong"), ("SPF", "unclear")} <= states
    assert not failed


def test_another_authority_may_be_named(server: DnsServer, settings: Settings) -> None:
    use(settings, "other-authority.test")
    findings, _failed = checked(server.address, "--ca", "other.test")
    assert not [each for each in findings if each["kind"] == "CAA"]


def test_without_a_key_it_says_that_nobody_signs(server: DnsServer, settings: Settings) -> None:
    settings.DKIM_RECORD = settings.DKIM_SELECTOR = ""
    use(settings, "right.test")
    findings, failed = checked(server.address)
    (key,) = [each for each in findings if each["kind"] == "DKIM"]
    assert (key["state"], failed) == ("unclear", False)


def test_an_installation_without_mail_asks_for_its_pages_alone(server: DnsServer, settings: Settings) -> None:
    use(settings, "right.test")
    settings.SMTP_PUBLIC_URL = ""
    findings, failed = checked(server.address)
    assert {(each["kind"], each["name"]) for each in findings} == {
        ("A", "pages.right.test"),
        ("A", "frames.right.test"),
    }
    assert not failed


def test_a_policy_of_the_parent_domain_counts(server: DnsServer, settings: Settings) -> None:
    use(settings, "sub.right.test")
    findings, _failed = checked(server.address)
    (policy,) = [each for each in findings if each["kind"] == "DMARC"]
    assert policy["state"] == "right"


def test_people_read_lines(server: DnsServer, settings: Settings) -> None:
    use(settings, "no-mx.test")
    out = io.StringIO()
    with pytest.raises(CommandError, match="mail depends on is wrong"):
        call_command("check_dns", "--server", server.address, stdout=out)
    lines = out.getvalue().splitlines()
    at = lines.index("wrong      MX     no-mx.test: Mail for no-mx.test is taken to nobody.")
    assert lines[at + 1] == "                  publish: no-mx.test. IN MX 10 mx.no-mx.test."


def test_what_somebody_published_commands_no_terminal(settings: Settings) -> None:
    zone = 'DOMAIN. TXT "v=spf1 -all \\027[2J"\n'.replace("DOMAIN", "bad.test")
    use(settings, "bad.test")
    with dns_server({"test": zone + "mx.bad.test. A 9.9.9.9", "in-addr.arpa": ""}) as server:
        out = io.StringIO()
        with pytest.raises(CommandError):
            call_command("check_dns", "--server", server.address, stdout=out)
    assert "\x1b" not in out.getvalue()
    assert "\\x1b[2J" in out.getvalue()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
    ],
)
def test_the_server_that_is_asked(given: str, asked: tuple[str, int]) -> None:
    resolver = resolver_at(given)
    assert (resolver.nameservers, resolver.port) == ([asked[0]], asked[1])


@pytest.mark.parametrize("given", ["ns.test", "192.0.2.1:port", "2001:db8::1", "[::1", ":53"])
def test_no_server_that_could_not_be_asked(given: str) -> None:
    with pytest.raises(ServerError):
        resolver_at(given)
