"""The SMTP carrier where no server has to answer: addresses, servers, and the mail that leaves."""

import email
import email.policy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.services.smtp_sink import SmtpSink
from webmail.carriers import Deferred, Refused, carry, smtp
from webmail.carriers.mail_servers import MailServersError
from webmail.carriers.smtp import SmtpAddressError, checked_address, mail_to_send, servers_of
from webmail.carriers.smtp_connection import Server
from webmail.mailbox.envelope_mail import EnvelopeError, envelope_in_mail

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SEALED = b"\x85\x01\x01\x01\x58\x20" + bytes(range(256)) * 8
ADDRESS = "did!plc!ewvi7nxzyoun6zhxrhs64oiz@mail.test"


@dataclass(frozen=True)
class Way:
    target: str
    address: str | None = ADDRESS
    kind: str = "smtp"


@pytest.mark.parametrize(
    "address",
    [
        ADDRESS,
        "plc.ewvi7nxzyoun6zhxrhs64oiz@mail.test",
        "did!web!bob#example@mail.test",
        "a@127.0.0.1",
        "a@::1",
    ],
)
def test_addresses_that_can_be_used(address: str) -> None:
    assert checked_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "@mail.test",
        "a@",
        "a@mail..test",
        "a@mail.test>",
        "<a@mail.test",
        "a b@mail.test",
        "a@mail.test SIZE=1",
        "a@mail.test\r\nRCPT TO:<b@other.test>",
        "a\n@mail.test",
        "a\0@mail.test",
        "a,b@mail.test",
        '"a"@mail.test',
        "a(b)@mail.test",
        "a:b@mail.test",
        "a;b@mail.test",
        "a\\b@mail.test",
        "ä@mail.test",
        "a@mäil.test",
        "a@[127.0.0.1]",
        "a@b@mail.test",
        "x" * 65 + "@mail.test",
        "a@" + "x" * 300,
        "a@-mail.test-",
    ],
)
def test_addresses_that_could_mean_more_are_refused_before_any_socket(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.create_connection", forbidden)
    with pytest.raises(SmtpAddressError):
        checked_address(address)
    outcomes = carry(Way("smtp://127.0.0.1:25", address), [SEALED, SEALED], bounce_token="1")
    assert [type(outcome) for outcome in outcomes] == [Refused, Refused]
    assert isinstance(outcomes[0], Refused)
    assert outcomes[0].code == "bad-address"


@pytest.mark.parametrize(
    "target",
    [
        "smtp://",
        "smtp://host:0",
        "smtp://host:99999",
        "smtp://user@host",
        "smtp://host/path",
        "smtp://ho st",
        "smtp://host%0d%0a",
        "smtp://a..b",
    ],
)
def test_servers_that_can_not_be_used(target: str) -> None:
    with pytest.raises(SmtpAddressError):
        servers_of(target, ADDRESS)


def test_the_server_is_the_one_that_the_route_names(settings: Settings) -> None:
    settings.SMTP_RELAY_URL = ""
    assert servers_of("smtp://mx.test:2525", ADDRESS) == [Server("mx.test", 2525)]
    assert servers_of("smtp://mx.test", ADDRESS) == [Server("mx.test", 25)]
    assert servers_of("smtp://[::1]:2525", ADDRESS) == [Server("::1", 2525)]


def test_the_relay_takes_all_but_ports_of_their_own(settings: Settings) -> None:
    settings.SMTP_RELAY_URL = "smtp://relay.internal:10025"
    relay = [Server("relay.internal", 10025, guarded=False, relay=True)]
    assert servers_of("smtp://mx.test", ADDRESS) == relay
    assert servers_of("smtp://mx.test:25", ADDRESS) == relay
    assert servers_of("mail.test", ADDRESS) == relay
    assert servers_of("smtp://mx.test:2525", ADDRESS) == [Server("mx.test", 2525)]


def test_a_domain_is_asked_for_its_mail_servers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SMTP_RELAY_URL = ""
    monkeypatch.setattr(smtp, "mail_servers", lambda domain: [f"mx1.{domain}", f"mx2.{domain}"])
    assert servers_of("mail.test", ADDRESS) == [Server("mx1.mail.test", 25), Server("mx2.mail.test", 25)]

    def missing(domain: str) -> list[str]:
        raise MailServersError("server-unknown", "there is no such domain", passing=False)

    monkeypatch.setattr(smtp, "mail_servers", missing)
    (outcome,) = carry(Way("mail.test"), [SEALED], bounce_token="1")
    assert outcome == Refused("server-unknown", "there is no such domain")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]"]
)
def test_private_addresses_are_refused_in_the_live_network(settings: Settings, host: str) -> None:
    settings.NETWORK = "live"
    settings.SMTP_RELAY_URL = ""
    (outcome,) = carry(Way(f"smtp://{host}:2525"), [SEALED], bounce_token="1")
    assert isinstance(outcome, Refused)
    assert outcome.code == "forbidden-address"


def test_a_server_whose_answer_is_lost_may_have_it(settings: Settings) -> None:
    class Lost(SmtpSink):
        async def handle_DATA(self, server: Any, _session: Any, _envelope: Any) -> str:
            server.transport.abort()
            return "250 too late"

    with Lost() as sink:
        settings.SMTP_RELAY_URL = sink.url
        (outcome,) = carry(Way("mail.test"), [SEALED], bounce_token="1")
    assert isinstance(outcome, Deferred)
    assert outcome.perhaps


def test_a_server_that_does_not_answer_defers_all(settings: Settings) -> None:
    settings.SMTP_RELAY_URL = ""
    outcomes = carry(Way("smtp://127.0.0.1:1"), [SEALED] * 3, bounce_token="1")
    assert len(outcomes) == 3
    for outcome in outcomes:
        assert isinstance(outcome, Deferred)
        assert (outcome.code, outcome.perhaps) == ("server-unreachable", False)


def test_another_kind_of_route_is_refused() -> None:
    (outcome,) = carry(Way("x", kind="pigeon"), [SEALED], bounce_token="1")
    assert isinstance(outcome, Refused)
    assert outcome.code == "unsupported-route"


def test_the_mail_names_the_host_and_nobody() -> None:
    raw = mail_to_send(SEALED, recipient=ADDRESS, mail_domain="our.test", now=NOW)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert not message.defects
    assert message["From"].addresses[0].addr_spec == "no-reply@our.test"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "application/atsms-envelope"
    read = envelope_in_mail(raw)
    assert read is not None
    assert read.data == SEALED
    assert max(map(len, raw.split(b"\r\n"))) < 998


def test_what_is_no_envelope_is_not_sent() -> None:
    with pytest.raises(EnvelopeError):
        mail_to_send(b"hello", recipient=ADDRESS, mail_domain="our.test", now=NOW)
