"""The whole way in: our own SMTP carrier, a real Postfix, the ingress, and a real Dovecot."""

import base64
import ipaddress
import os
import shutil
import smtplib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

import outbound
from accounts.models import Account
from demo.postfix import Postfix
from tests.services.certificates import self_signed
from tests.services.ingress import IngressProcess
from tests.services.installations import wait_until
from tests.services.postfix import postfix_server
from webmail.carriers import Accepted, Deferred, Refused, smtp, smtp_connection
from webmail.mailbox import INBOX, open_mailbox
from webmail.mailbox.envelope_mail import mail_with_envelope
from webmail.mailbox.names import mailbox_name
from webmail.models import Delivery

pytestmark = pytest.mark.usefixtures("shared_database")


@dataclass(frozen=True)
class Way:
    """A route as accounts.routes gives it."""

    target: str
    address: str | None
    kind: str = "smtp"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "chain.pem", "127.0.0.1")


@pytest.fixture(scope="module")
def postfix(chain: Path, lmtp_process: IngressProcess) -> Iterator[Postfix]:
    with postfix_server(
        ingress_port=lmtp_process.port,
        policy_port=lmtp_process.policy_port,
        mail_domains=["mail.test"],
        tls_chain=chain,
    ) as running:
        yield running


def inbox_of(did: str) -> list[bytes]:
    with open_mailbox(did) as mailbox:
        return [stored.raw for stored in mailbox.fetch(INBOX, mailbox.uids_after(INBOX, 0)).values()]


def wait_for_mails(did: str, count: int, seconds: float = 20) -> list[bytes]:
    deadline = time.monotonic() + seconds
    while len(found := inbox_of(did)) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} mails arrived"
        time.sleep(0.05)
    return found


def way_to(postfix: Postfix, did: str) -> Way:
    return Way(f"smtp://127.0.0.1:{postfix.port}", f"{mailbox_name(did)}@mail.test")


def test_the_configuration_is_sound(postfix: Postfix) -> None:
    assert postfix.check() == ""


def test_envelopes_arrive_as_the_octets_that_https_would_store(
    postfix: Postfix, lmtp: IngressProcess, account: Account
) -> None:
    envelopes = [b"\x85" + os.urandom(size) for size in (10, 1080, 65_592)] + [b"\x30" + os.urandom(70_000)]
    outcomes = smtp.deliver(way_to(postfix, account.did), envelopes, bounce_token="1")
    assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
    stored = wait_for_mails(account.did, len(envelopes))
    assert sorted(stored) == sorted(mail_with_envelope(envelope) for envelope in envelopes)
    # Nothing of the way it came: no address of the sender's, no date, no return address.
    for header in (raw.split(b"\r\n\r\n")[0] for raw in stored):
        assert not any(word in header for word in (b"127.0.0.1", b"Received", b"Date", b"b+", b"From"))


def test_the_same_envelope_by_smtp_again_is_stored_once(
    postfix: Postfix, lmtp: IngressProcess, account: Account, envelope: bytes
) -> None:
    for _ in range(3):
        (outcome,) = smtp.deliver(way_to(postfix, account.did), [envelope], bounce_token="1")
        assert isinstance(outcome, Accepted)
        wait_for_mails(account.did, 1)
    deadline = time.monotonic() + 10
    while postfix.queue() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert inbox_of(account.did) == [mail_with_envelope(envelope)]


def test_unknown_recipients_are_refused_before_the_mail(
    postfix: Postfix, lmtp: IngressProcess, new_did: Callable[[], str], envelope: bytes
) -> None:
    stranger = new_did()
    (outcome,) = smtp.deliver(way_to(postfix, stranger), [envelope], bounce_token="1")
    assert isinstance(outcome, Refused)
    assert outcome.code == "address-unknown"
    assert not any(mailbox_name(stranger) in line for line in postfix.queue())


@pytest.mark.parametrize(
    "recipient",
    [
        "user@other.test",
        "did!plc!aaaaaaaaaaaaaaaaaaaaaaaa@other.test",
        "@other.test:did!plc!aaaaaaaaaaaaaaaaaaaaaaaa@mail.test",
        "other.test!user@mail.test",
        "user%other.test@mail.test",
        '"user@other.test"@mail.test',
        "user@other.test@mail.test",
        "root@localhost",
        "root",
    ],
)
def test_nothing_is_relayed(postfix: Postfix, lmtp: IngressProcess, recipient: str) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, "other.test", timeout=20) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<a@other.test>")
        code, text = client.docmd("RCPT", f"TO:<{recipient}>")
        assert 500 <= code <= 599, (code, text)


def test_ordinary_mail_arrives_whole(postfix: Postfix, lmtp: IngressProcess, account: Account) -> None:
    body = "Grüße\r\n.\r\n..\r\nend\r\n".encode()
    with smtplib.SMTP("127.0.0.1", postfix.port, "other.test") as client:
        client.sendmail(
            "a@other.test",
            [f"{mailbox_name(account.did)}@mail.test"],
            b"From: a@other.test\r\nSubject: hello\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body,
            ["BODY=8BITMIME"],
        )
    (raw,) = wait_for_mails(account.did, 1)
    assert raw.endswith(b"Subject: hello\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body)


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r"])
def test_no_other_end_of_a_mail_is_taken_for_one(
    postfix: Postfix, lmtp: IngressProcess, account: Account, end: bytes
) -> None:
    address = f"{mailbox_name(account.did)}@mail.test".encode()
    with socket.create_connection(("127.0.0.1", postfix.port), 20) as connection:
        file = connection.makefile("rb")
        file.readline()
        for command in (b"HELO other.test", b"MAIL FROM:<a@other.test>", b"RCPT TO:<%s>" % address, b"DATA"):
            connection.sendall(command + b"\r\n")
            file.readline()
        smuggled = b"MAIL FROM:<evil@other.test>\r\nRCPT TO:<%s>\r\nDATA\r\n\r\nx\r\n.\r\n" % address
        connection.sendall(b"Subject: outer\r\n\r\nhello" + end + smuggled)
        answers = [file.readline()]
        connection.settimeout(0.5)
        try:
            while line := file.readline():
                answers.append(line)
        except TimeoutError:
            pass
    assert not any(b"queued" in answer for answer in answers[1:]), answers
    time.sleep(0.3)
    assert len(inbox_of(account.did)) <= 1
    assert not any(b"evil@" in raw.split(b"\r\n\r\n")[0] for raw in inbox_of(account.did))


def test_tls_is_used_whenever_it_is_offered(
    postfix: Postfix, lmtp: IngressProcess, account: Account, chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = way_to(postfix, account.did)
    (unknown,) = smtp.deliver(way, [b"\x85 a"], bounce_token="1")
    assert isinstance(unknown, Accepted)
    assert unknown.security == "TLSv1.3, certificate not verified"
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    smtp_connection._verifying.cache_clear()
    try:
        (known,) = smtp.deliver(way, [b"\x85 b"], bounce_token="1")
    finally:
        smtp_connection._verifying.cache_clear()
    assert isinstance(known, Accepted)
    assert known.security == "TLSv1.3, certificate verified"


def test_an_announced_size_is_held_to(postfix: Postfix) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, "other.test") as client:
        client.ehlo()
        assert client.docmd("MAIL", "FROM:<a@other.test> SIZE=11000000")[0] == 552


def test_what_the_ingress_would_refuse_is_refused_to_the_sender_and_not_bounced(
    postfix: Postfix, lmtp: IngressProcess, account: Account
) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, "other.test", timeout=20) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<forged@other.test>")
        client.docmd("RCPT", f"TO:<{mailbox_name(account.did)}@mail.test>")
        client.docmd("DATA")
        client.send(b"Subject: hello\r\n\r\na\0b\r\n.\r\n")
        assert client.getreply()[0] == 550
    assert not any("forged@other.test" in line for line in postfix.queue())


@pytest.fixture
def sent(lmtp: IngressProcess, account: Account) -> Callable[[Postfix, int], int]:
    """Sends a mail to so many recipients; the first answer that is no success, or the last one."""

    def send(running: Postfix, recipients: int = 1) -> int:
        with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
            file = connection.makefile("rb")
            to = b"RCPT TO:<%s@mail.test>" % mailbox_name(account.did).encode()
            commands = [b"", b"HELO other.test", b"MAIL FROM:<a@other.test>", *[to] * recipients, b"DATA"]
            for command in (*commands, b"Subject: hello\r\n\r\nx\r\n."):
                connection.sendall(command and command + b"\r\n")
                code = int(file.readline()[:3])
                if code >= 400:
                    break
            return code

    return send


def test_one_address_sends_only_so_much_a_minute(
    lmtp: IngressProcess, lmtp_process: IngressProcess, sent: Callable[[Postfix, int], int]
) -> None:
    for name, codes in (
        ("MAIL_CONNECTIONS_PER_MINUTE", [250, 250, 250, 421]),
        ("MAIL_MESSAGES_PER_MINUTE", [250, 250, 250, 450]),
    ):
        # The one that finds it ready counts as a connection, too.
        limits = {name: 4 if "CONN" in name else 3}
        with postfix_server(
            ingress_port=lmtp_process.port,
            policy_port=lmtp_process.policy_port,
            mail_domains=["mail.test"],
            limits=limits,
        ) as running:
            assert [sent(running, 1) for _ in codes] == codes, name
    with postfix_server(
        ingress_port=lmtp_process.port,
        policy_port=lmtp_process.policy_port,
        mail_domains=["mail.test"],
        limits={"MAIL_RECIPIENTS_PER_MINUTE": 3},
    ) as running:
        assert [sent(running, 2), sent(running, 2)] == [250, 450]


def test_nothing_is_taken_that_would_fill_the_disk(
    tmp_path: Path, lmtp: IngressProcess, lmtp_process: IngressProcess, sent: Callable[[Postfix, int], int]
) -> None:
    room = shutil.disk_usage(tmp_path).free
    for least, code in ((room // 2, 250), (2 * room, 452)):
        limits = {"MAIL_QUEUE_MIN_FREE": least}
        with postfix_server(
            ingress_port=lmtp_process.port,
            policy_port=lmtp_process.policy_port,
            mail_domains=["mail.test"],
            limits=limits,
        ) as running:
            assert sent(running, 1) == code


def test_outgoing_mail_goes_through_the_relay_and_names_no_worker(
    postfix: Postfix, lmtp: IngressProcess, account: Account, settings: Settings, envelope: bytes
) -> None:
    settings.SMTP_RELAY_URL = f"smtp://127.0.0.1:{postfix.relay_port}"
    address = f"{mailbox_name(account.did)}@mail.test"
    (outcome,) = smtp.deliver(Way("mail.test", address), [envelope], bounce_token="1")
    assert isinstance(outcome, Accepted)
    assert outcome.relayed
    assert wait_for_mails(account.did, 1) == [mail_with_envelope(envelope)]
    with smtplib.SMTP("127.0.0.1", postfix.relay_port, "worker.internal") as client:
        client.sendmail("a@mail.test", [address], b"From: a@mail.test\r\nSubject: plain\r\n\r\nx\r\n")
    plain = wait_for_mails(account.did, 2)[1]
    assert b"worker.internal" not in plain
    assert b"127.0.0.1" not in plain


@pytest.mark.parametrize(
    ("server", "code"),
    [
        ("[127.1.2.3]", 550),
        ("localhost", 550),
        ("[10.1.2.3]", 550),
        ("[169.254.169.254]", 550),
        ("[IPv6:fd00::1]", 550),
        ("[IPv6:::ffff:10.1.2.3]", 550),
        ("[8.8.8.8]", 250),
    ],
)
def test_the_relay_carries_to_public_addresses_alone(postfix: Postfix, server: str, code: int) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.relay_port, "worker.internal", timeout=20) as client:
        client.ehlo()
        client.docmd("MAIL", "FROM:<a@mail.test>")
        answer = client.docmd("RCPT", f"TO:<somebody@{server}>")
        assert answer[0] == code, answer


def test_answers_to_somebody_elses_postmaster_go_to_them(postfix: Postfix) -> None:
    recipient = "postmaster@[8.8.8.8]"
    with smtplib.SMTP("127.0.0.1", postfix.relay_port, "worker.internal", timeout=20) as client:
        client.sendmail("a@mail.test", [recipient], b"From: a@mail.test\r\nSubject: hello\r\n\r\nx\r\n")
    wait_until(lambda: any(recipient in line for line in postfix.queue()))
    assert postfix.looked_up("regexp", "postmaster", "Postmaster@mail.test") == "postmaster@localhost.invalid"
    for other in ("postmaster@mailxtest", "postmaster@mail.test.other.test", "postmaster@other.mail.test"):
        assert postfix.looked_up("regexp", "postmaster", other) == ""


ADDRESSES = (
    *(
        "0.1.2.3",
        "8.8.8.8",
        "9.255.255.255",
        "10.0.0.1",
        "11.0.0.1",
        "100.63.0.1",
        "100.64.0.1",
        "100.127.255.255",
    ),
    *(
        "100.128.0.1",
        "127.0.0.1",
        "169.253.0.1",
        "169.254.169.254",
        "172.15.0.1",
        "172.16.0.1",
        "172.31.255.255",
    ),
    *(
        "172.32.0.1",
        "192.0.0.1",
        "192.0.1.1",
        "192.0.2.1",
        "192.167.0.1",
        "192.168.0.1",
        "198.17.0.1",
        "198.18.0.1",
    ),
    *(
        "198.19.255.255",
        "198.20.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "223.0.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
    ),
    *(
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2001::1",
        "2001:1ff::1",
        "2001:200::1",
    ),
    *("2001:db8::1", "2001:4860:4860::8888", "2002:a00::1", "2a00:1450::1", "fd00::1", "fe80::1", "ff02::1"),
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_relay_takes_the_same_addresses_for_public_as_the_rest(postfix: Postfix, address: str) -> None:
    ours = outbound.is_public(ipaddress.ip_address(address))
    kind = "AAAA" if ":" in address else "A"
    answer = f"mx.other.test. 60 IN {kind} {address}"
    assert bool(postfix.looked_up("cidr", "private_networks", address)) is not ours
    assert (postfix.looked_up("regexp", "private_answers", answer) == "IGNORE") is not ours


def test_a_number_is_no_name_of_a_server(postfix: Postfix) -> None:
    for server, taken in (
        ("10.0.0.1", False),
        ("8.8.8.8.", False),
        ("fd00::1", False),
        ("mx1.other.test.", True),
    ):
        found = postfix.looked_up("regexp", "private_answers", f"other.test. 60 IN MX 10 {server}")
        assert (found == "") is taken
    assert "private_answers" in postfix.setting("smtp_dns_reply_filter")


def test_mail_that_the_relay_could_not_deliver_fails_its_delivery(
    postfix: Postfix, lmtp: IngressProcess, delivery: Delivery, settings: Settings, envelope: bytes
) -> None:
    """The relay takes it, the other side does not know the recipient, and the report comes back by mail."""
    settings.SMTP_RELAY_URL = f"smtp://127.0.0.1:{postfix.relay_port}"
    address = f"{mailbox_name(delivery.recipient_did)}@mail.test"
    (outcome,) = smtp.deliver(Way("mail.test", address), [envelope], bounce_token=str(delivery.pk))
    assert isinstance(outcome, Accepted)
    deadline = time.monotonic() + 20
    while delivery.state != Delivery.State.FAILED and time.monotonic() < deadline:
        time.sleep(0.1)
        delivery.refresh_from_db()
    assert delivery.state == Delivery.State.FAILED
    assert delivery.failure_code == "address-unknown"
    assert "no such mailbox" in delivery.failure_reply


def test_an_envelope_of_another_implementation_is_read(
    postfix: Postfix, lmtp: IngressProcess, account: Account, envelope: bytes
) -> None:
    """The whole mail in several parts, the recipient as a quoted local part."""
    raw = (
        b'From: a@other.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nsealed\r\n--b\r\n"
        b"Content-Type: application/atsms-envelope\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(envelope).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )
    with smtplib.SMTP("127.0.0.1", postfix.port, "other.test") as client:
        client.ehlo()
        assert client.docmd("MAIL", "FROM:<a@other.test>")[0] == 250
        assert client.docmd("RCPT", f'TO:<"{account.did}"@mail.test>')[0] == 250
        assert client.data(raw)[0] == 250
    assert wait_for_mails(account.did, 1) == [mail_with_envelope(envelope)]


def test_a_mail_to_two_with_a_boundary_that_cannot_be_read_keeps_nobody_waiting(
    postfix: Postfix, lmtp: IngressProcess, account: Account, new_did: Callable[[], str], envelope: bytes
) -> None:
    other = Account.objects.create(did=new_did(), handle="bob.test", pds_url="http://localhost")
    dids = (account.did, other.did)
    raw = b"Content-Type: multipart/mixed; boundary*=idna''ab\r\n\r\n--ab\r\n\r\nhello\r\n--ab--\r\n"
    with smtplib.SMTP("127.0.0.1", postfix.port, "other.test") as client:
        client.sendmail("a@other.test", [f"{mailbox_name(did)}@mail.test" for did in dids], raw)
    for did in dids:
        (arrived,) = wait_for_mails(did, 1)
        assert arrived.endswith(raw)
    (outcome,) = smtp.deliver(way_to(postfix, account.did), [envelope], bounce_token="1")
    assert isinstance(outcome, Accepted)
    assert wait_for_mails(account.did, 2)[1] == mail_with_envelope(envelope)
    assert len(inbox_of(other.did)) == 1
    wait_until(lambda: not any(mailbox_name(did) in line for did in dids for line in postfix.queue()))


def test_the_queue_outlives_an_ingress_that_is_away(
    postfix: Postfix, lmtp: IngressProcess, account: Account
) -> None:
    way = way_to(postfix, account.did)
    (first,) = smtp.deliver(way, [b"\x85 before"], bounce_token="1")
    assert isinstance(first, Accepted)
    wait_for_mails(account.did, 1)
    # Postfix takes a mail out of its queue a little after it was stored.
    wait_until(lambda: not any(mailbox_name(account.did) in line for line in postfix.queue()))
    lmtp.kill()
    during = [b"\x85 during %d" % number for number in range(10)]
    outcomes = smtp.deliver(way, during, bounce_token="1")
    assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
    assert sum(mailbox_name(account.did) in line for line in postfix.queue()) == 10
    assert len(inbox_of(account.did)) == 1
    lmtp.start()
    stored = wait_for_mails(account.did, 11, seconds=60)
    assert set(stored) == {mail_with_envelope(envelope) for envelope in [b"\x85 before", *during]}
    assert len(stored) == 11


def test_a_recipient_whom_nobody_could_ask_about_is_deferred(
    postfix: Postfix, lmtp: IngressProcess, new_did: Callable[[], str], envelope: bytes
) -> None:
    lmtp.kill()
    stranger = new_did()
    (outcome,) = smtp.deliver(way_to(postfix, stranger), [envelope], bounce_token="1")
    assert isinstance(outcome, Deferred)
    assert not any(mailbox_name(stranger) in line for line in postfix.queue())
