"""Signed mail (RFC 6376): from our carrier by Postfix and OpenDKIM to another Postfix, and checked there."""

import re
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from demo.postfix import Postfix
from tests.services.compose import ROOT
from tests.services.dns_server import DnsServer, dns_server
from tests.services.installations import wait_until
from tests.services.opendkim import Signer, opendkim_signer, verified
from tests.services.postfix import postfix_server
from tests.services.smtp_sink import SmtpSink
from webmail.carriers import Accepted, Deferred, smtp
from webmail.ordinary.answer import answer_mail
from webmail.ordinary.parsing import read_mail

OTHERS = "did!plc!aaaaaaaaaaaaaaaaaaaaaaaa@other.test"
OURS = "did!plc!bbbbbbbbbbbbbbbbbbbbbbbb@mail.test"


@dataclass(frozen=True)
class Way:
    """A route as accounts.routes gives it."""

    target: str
    address: str | None
    kind: str = "smtp"


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's secrets folder."""
    folder = tmp_path_factory.mktemp("operator") / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets", "mx.mail.test", folder], check=True)
    return folder


def record(folder: Path) -> str:
    """What the operator is told to publish."""
    command = [ROOT / "deploy" / "dkim-record", "mail.test", folder]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def dns(secrets: Path) -> Iterator[DnsServer]:
    with dns_server({"mail.test": record(secrets)}) as server:
        yield server


@pytest.fixture(scope="module")
def signer(secrets: Path) -> Iterator[Signer]:
    with opendkim_signer(secrets, "mail.test") as running:
        yield running


@pytest.fixture(scope="module")
def theirs() -> Iterator[SmtpSink]:
    """Where the other installation's Postfix stores its mail."""
    with SmtpSink(lmtp=True) as sink:
        yield sink


@pytest.fixture(scope="module")
def their_postfix(theirs: SmtpSink) -> Iterator[Postfix]:
    with postfix_server(ingress_port=theirs.port, mail_domains=["other.test"]) as running:
        yield running


@pytest.fixture(scope="module")
def postfix(their_postfix: Postfix, signer: Signer) -> Iterator[Postfix]:
    with postfix_server(
        ingress_port=1,
        mail_domains=["mail.test"],
        relayhost=f"[127.0.0.1]:{their_postfix.port}",
        dkim_milter=signer.milter,
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def ours(settings: Settings, postfix: Postfix, theirs: SmtpSink) -> None:
    settings.MAIL_DOMAIN = "mail.test"
    settings.SMTP_RELAY_URL = f"smtp://127.0.0.1:{postfix.relay_port}"
    theirs.mails.clear()


def arrived(theirs: SmtpSink) -> bytes:
    """The one mail that the other server stored."""
    wait_until(lambda: bool(theirs.mails))
    (mail,) = theirs.mails
    return mail.raw


def answer(*, sender: str = OURS, to: str = OTHERS) -> bytes:
    """What somebody here answers to an ordinary mail."""
    written = f"From: {to}\r\nSubject: hello\r\nMessage-ID: <1@other.test>\r\n\r\nx\r\n"
    return answer_mail(
        read_mail(written.encode()),
        sender_name="Ährenfeld",
        sender=sender,
        to=[to],
        cc=[],
        text="Grüße\n.\nein Leerzeichen \n\n",
        message_id="<2@mail.test>",
        now=datetime(2026, 12, 1, tzinfo=UTC),
    )


def tags(mail: bytes) -> dict[str, str]:
    """What the signature of a mail says, by its tags."""
    (value,) = re.findall(rb"^DKIM-Signature:((?:.*\r?\n)(?:[ \t].*\r?\n)*)", mail, re.M)
    parts = re.sub(r"\s", "", value.decode()).split(";")
    return dict(part.split("=", 1) for part in parts if part)


def test_an_envelope_is_signed_for_its_host_and_names_nobody(
    theirs: SmtpSink, dns: DnsServer, envelope: bytes
) -> None:
    (outcome,) = smtp.deliver(Way("other.test", OTHERS), [envelope], bounce_token="1")
    assert isinstance(outcome, Accepted), outcome
    mail = arrived(theirs)
    assert verified(mail, dns) == [True]
    signature = tags(mail)
    assert signature["d"] == "mail.test"
    # No identity (i=), no copy of the header (z=): what is hashed stays as it was.
    assert signature.keys() == {"v", "a", "c", "d", "s", "t", "h", "bh", "b"}
    assert (signature["a"], signature["c"]) == ("rsa-sha256", "relaxed/relaxed")
    names = set(re.findall(rb"^([A-Za-z-]+):", mail.split(b"\r\n\r\n")[0], re.M))
    given = {b"From", b"To", b"Date", b"Message-ID", b"Subject", b"Auto-Submitted", b"MIME-Version"}
    given |= {b"Content-Type", b"Content-Transfer-Encoding", b"Content-Disposition"}
    # The other server adds where it has the mail from.
    assert names == given | {b"DKIM-Signature", b"Received"}


def test_an_answer_to_ordinary_mail_is_signed(theirs: SmtpSink, dns: DnsServer) -> None:
    assert isinstance(smtp.deliver_mail(answer(), OTHERS, bounce_token="1"), Accepted)
    mail = arrived(theirs)
    assert verified(mail, dns) == [True]
    signed = tags(mail)["h"].lower().split(":")
    assert {"from", "to", "subject", "date", "message-id", "in-reply-to", "content-type"} <= set(signed)


def test_so_is_one_to_letters_beyond_ascii(theirs: SmtpSink, dns: DnsServer) -> None:
    address = "grüße@other.test"
    assert isinstance(smtp.deliver_mail(answer(to=address), address, bounce_token="1"), Accepted)
    assert verified(arrived(theirs), dns) == [True]


@pytest.mark.parametrize(
    "change",
    [
        lambda mail: mail.replace(b"Subject: Re: hello", b"Subject: Re: hell"),
        lambda mail: b"Subject: hell\r\n" + mail,
        lambda mail: b"Reply-To: x@other.test\r\n" + mail,
        lambda mail: mail + b"one more line\r\n",
    ],
    ids=["subject", "second subject", "Reply-To", "body"],
)
def test_what_was_changed_on_the_way_is_seen(
    theirs: SmtpSink, dns: DnsServer, change: Callable[[bytes], bytes]
) -> None:
    smtp.deliver_mail(answer(), OTHERS, bounce_token="1")
    mail = arrived(theirs)
    changed = change(mail)
    assert changed != mail
    assert verified(changed, dns) == [False]


def test_what_any_worker_of_the_network_sends_is_signed(
    postfix: Postfix, theirs: SmtpSink, dns: DnsServer
) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.relay_port, "worker", source_address=("127.0.0.2", 0)) as worker:
        worker.sendmail("b+1@mail.test", [OTHERS], answer())
    assert verified(arrived(theirs), dns) == [True]


def test_nothing_is_signed_for_another_domain(theirs: SmtpSink, dns: DnsServer) -> None:
    smtp.deliver_mail(answer(sender="somebody@sub.mail.test"), OTHERS, bounce_token="1")
    assert verified(arrived(theirs), dns) == []


def test_mail_waits_while_nobody_signs(theirs: SmtpSink, dns: DnsServer, signer: Signer) -> None:
    signer.stop()
    try:
        outcome = smtp.deliver_mail(answer(), OTHERS, bounce_token="1")
        assert isinstance(outcome, Deferred), outcome
    finally:
        signer.start()
    assert theirs.mails == []
    assert isinstance(smtp.deliver_mail(answer(), OTHERS, bounce_token="1"), Accepted)
    assert verified(arrived(theirs), dns) == [True]


def test_without_a_signer_mail_leaves_as_it_is(
    their_postfix: Postfix, theirs: SmtpSink, dns: DnsServer, settings: Settings
) -> None:
    relayhost = f"[127.0.0.1]:{their_postfix.port}"
    with postfix_server(ingress_port=1, mail_domains=["mail.test"], relayhost=relayhost) as unsigned:
        settings.SMTP_RELAY_URL = f"smtp://127.0.0.1:{unsigned.relay_port}"
        assert isinstance(smtp.deliver_mail(answer(), OTHERS, bounce_token="1"), Accepted)
        assert verified(arrived(theirs), dns) == []


def test_a_new_key_stands_under_a_name_of_its_own(secrets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets", "mx.mail.test", folder], check=True)
    (folder / "dkim_selector").write_text("before")
    before = record(folder)
    (folder / "dkim_key").unlink()
    subprocess.run([ROOT / "deploy" / "make-secrets", "mx.mail.test", folder], check=True)
    after = record(folder)
    assert before.split()[0] == "before._domainkey.mail.test."
    assert re.fullmatch(r"waxwing-\d{8}-\d{6}\._domainkey\.mail\.test\.", after.split()[0])
    assert before.split('"', 1)[1] != after.split('"', 1)[1]
    assert all(len(string) <= 255 for string in re.findall(r'"([^"]*)"', after))
