"""The ingress as its own process, spoken to over a socket: LMTP as from Postfix, and SMTP without one."""

import asyncio
import base64
import os
import signal
import smtplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as SMTPEnvelope
from pytest_django.fixtures import Settings

from accounts.models import Account
from tests.services.dovecot import DovecotServer
from tests.services.ingress import IngressProcess, ingress_process
from tests.services.installations import wait_until
from webmail.ingress import MAX_MAIL
from webmail.ingress_mail import TROUBLE
from webmail.ingress_server import IngressHandler, LmtpIngress, SmtpIngress
from webmail.mailbox import INBOX, open_mailbox
from webmail.mailbox.envelope_mail import mail_with_envelope
from webmail.mailbox.names import mailbox_name

pytestmark = pytest.mark.usefixtures("shared_database")


def inbox_of(did: str) -> list[bytes]:
    with open_mailbox(did) as mailbox:
        return [stored.raw for stored in mailbox.fetch(INBOX, mailbox.uids_after(INBOX, 0)).values()]


def address_of(did: str) -> str:
    return f"{mailbox_name(did)}@mail.test"


def mail_of(envelope: bytes) -> bytes:
    return (
        b"Received: from [203.0.113.77]\r\nFrom: <no-reply@other.test>\r\n"
        b"Content-Type: application/atsms-envelope\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(envelope).replace(b"\n", b"\r\n")
    )


class Lines:
    """A conversation by hand, where smtplib would not say what has to be said."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def reply(self) -> str:
        while True:
            line = self.file.readline().decode()
            if line[3:4] != "-":
                return line.strip()

    def say(self, text: str | bytes) -> str:
        self.socket.sendall((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.reply()


def begin(lines: Lines, greeting: str, *recipients: str) -> list[str]:
    lines.reply()
    lines.say(f"{greeting} other.test")
    lines.say("MAIL FROM:<>")
    return [lines.say(f"RCPT TO:<{recipient}>") for recipient in recipients]


@pytest.fixture
def smtp(in_maildir: None, shared_database: None, tmp_path: Path) -> Iterator[IngressProcess]:
    with ingress_process(tmp_path, scheme="smtp") as ingress:
        yield ingress


@pytest.fixture
def other_account(transactional_db: None, new_did: Callable[[], str]) -> Account:
    return Account.objects.create(did=new_did(), handle="bob.test", pds_url="http://localhost")


def test_each_lmtp_recipient_gets_a_reply_of_their_own(
    lmtp: IngressProcess,
    account: Account,
    other_account: Account,
    new_did: Callable[[], str],
    envelope: bytes,
) -> None:
    stranger = new_did()
    with Lines(lmtp.port) as lines:
        answers = begin(
            lines,
            "LHLO",
            address_of(account.did),
            address_of(stranger),
            address_of(other_account.did),
            f"{mailbox_name(account.did)}@elsewhere.test",
            "postmaster@mail.test",
        )
        assert [answer[:9] for answer in answers] == [
            "250 2.1.5",
            "550 5.1.1",
            "250 2.1.5",
            "550 5.7.1",
            "550 5.1.1",
        ]
        assert lines.say("DATA").startswith("354")
        lines.socket.sendall(mail_of(envelope) + b".\r\n")
        assert [lines.reply()[:9] for _ in range(2)] == ["250 2.0.0"] * 2
        # The conversation is still in step.
        assert lines.say("NOOP").startswith("250")
    for someone in (account, other_account):
        assert inbox_of(someone.did) == [mail_with_envelope(envelope)]


#: Its charset is none that a boundary can be read in.
ODD_BOUNDARY = b"Content-Type: multipart/mixed; boundary*=idna''ab\r\n\r\n--ab\r\n\r\nhello\r\n--ab--\r\n"


def test_a_mail_with_a_boundary_that_cannot_be_read_is_stored_for_each_lmtp_recipient(
    lmtp: IngressProcess, account: Account, other_account: Account
) -> None:
    with Lines(lmtp.port) as lines:
        begin(lines, "LHLO", address_of(account.did), address_of(other_account.did))
        lines.say("DATA")
        lines.socket.sendall(ODD_BOUNDARY + b".\r\n")
        assert [lines.reply()[:9] for _ in range(2)] == ["250 2.0.0"] * 2
        # The conversation is still in step.
        assert lines.say("NOOP").startswith("250")
        assert lines.say("BOGUS").startswith("500")
    for someone in (account, other_account):
        assert inbox_of(someone.did) == [ODD_BOUNDARY]


@pytest.mark.parametrize(("kind", "lines"), [(LmtpIngress, 2), (SmtpIngress, 1)])
def test_whatever_fails_is_one_reply_for_each_lmtp_recipient(kind: type[SMTP], lines: int) -> None:
    """Where there is none at all, an LMTP client waits for them and sends nobody anything meanwhile."""

    async def reply() -> str:
        with ThreadPoolExecutor(1) as pool:
            handler = IngressHandler(pool)
            server = kind(handler, loop=asyncio.get_running_loop())
            mail = SMTPEnvelope()
            mail.rcpt_tos, mail.original_content = ["nobody", "that can be asked"], None
            return await handler.handle_DATA(server, None, mail)

    assert asyncio.run(reply()).split("\r\n") == [TROUBLE] * lines


def test_one_recipient_over_quota_does_not_stop_another(
    in_maildir: None,
    shared_database: None,
    tmp_path: Path,
    account: Account,
    other_account: Account,
    settings: Settings,
) -> None:
    settings.INGRESS_ENVELOPES_PER_HOUR = 1
    with ingress_process(tmp_path) as ingress, Lines(ingress.port) as lines:
        begin(lines, "LHLO", address_of(account.did))
        lines.say("DATA")
        assert lines.say(mail_of(b"\x85first") + b".").startswith("250")
        lines.say("MAIL FROM:<>")
        for someone in (account, other_account):
            lines.say(f"RCPT TO:<{address_of(someone.did)}>")
        lines.say("DATA")
        assert lines.say(mail_of(b"\x85second") + b".").startswith("452 4.2.2")
        assert lines.reply().startswith("250")
    assert len(inbox_of(account.did)) == len(inbox_of(other_account.did)) == 1


def test_a_mail_that_is_too_large_gets_a_reply_for_each_recipient(
    lmtp: IngressProcess, account: Account, other_account: Account
) -> None:
    with Lines(lmtp.port) as lines:
        begin(lines, "LHLO", address_of(account.did), address_of(other_account.did))
        lines.say("DATA")
        line = b"x" * 998 + b"\r\n"
        lines.socket.sendall(line * (MAX_MAIL // len(line) + 10) + b".\r\n")
        assert [lines.reply()[:3] for _ in range(2)] == ["552", "552"]
        assert lines.say("NOOP").startswith("250")
        lines.say("MAIL FROM:<>")
        lines.say(f"RCPT TO:<{address_of(account.did)}>")
        lines.say(f"RCPT TO:<{address_of(other_account.did)}>")
        lines.say("DATA")
        lines.socket.sendall(b"x" * 5000 + b"\r\n.\r\n")
        assert [lines.reply()[:3] for _ in range(2)] == ["500", "500"]
        assert lines.say("NOOP").startswith("250")
    assert inbox_of(account.did) == []


def test_a_line_without_an_end_is_not_kept_in_memory(smtp: IngressProcess, account: Account) -> None:
    with Lines(smtp.port) as lines:
        begin(lines, "EHLO", address_of(account.did))
        lines.say("DATA")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            lines.socket.sendall(b"x" * 60_000_000)
    with smtplib.SMTP("127.0.0.1", smtp.port) as again:
        assert again.noop()[0] == 250


def test_the_announced_size_is_held_to(smtp: IngressProcess) -> None:
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        client.ehlo("other.test")
        assert client.esmtp_features["size"] == str(MAX_MAIL)
        assert client.docmd("MAIL", f"FROM:<a@other.test> SIZE={MAX_MAIL + 1}")[0] == 552


SMUGGLED = b"MAIL FROM:<evil@other.test>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: smuggled\r\n\r\nhello\r\n"
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\r\n.\r\r\n",
]


@pytest.mark.parametrize("scheme", ["lmtp", "smtp"])
def test_no_other_end_of_a_mail_is_taken_for_one(
    scheme: str, in_maildir: None, shared_database: None, account: Account, tmp_path: Path
) -> None:
    with ingress_process(tmp_path, scheme=scheme) as ingress:
        for end in ENDS:
            with Lines(ingress.port) as lines:
                begin(lines, "LHLO" if scheme == "lmtp" else "EHLO", address_of(account.did))
                lines.say("DATA")
                lines.socket.sendall(b"Subject: outer\r\n\r\nhello" + end)
                reply = lines.say(SMUGGLED % address_of(account.did).encode() + b".")
                assert reply.startswith("550 5.6."), (end, reply)
                # One answer, not one for each of two mails.
                lines.socket.settimeout(0.15)
                with pytest.raises(TimeoutError):
                    lines.reply()
    assert inbox_of(account.did) == []


def test_dots_are_taken_off_and_octets_kept(smtp: IngressProcess, account: Account) -> None:
    raw = b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n\xff\xfe\r\n"
    with smtplib.SMTP("127.0.0.1", smtp.port, "other.test") as client:
        client.sendmail("a@other.test", [address_of(account.did)], raw)
    assert inbox_of(account.did) == [raw]


def test_what_was_answered_250_survives_sigkill(
    in_dovecot: None, shared_database: None, tmp_path: Path, account: Account
) -> None:
    """Killed the moment the 250 is read: the mail is there, again and again."""
    with ingress_process(tmp_path) as ingress:
        for number in range(6):
            with Lines(ingress.port) as lines:
                begin(lines, "LHLO", address_of(account.did))
                lines.say("DATA")
                assert lines.say(mail_of(b"\x85%d" % number) + b".").startswith("250")
                ingress.kill()
            assert len(inbox_of(account.did)) == number + 1
            ingress.start()


def test_killed_at_any_moment_nothing_that_was_answered_is_lost(
    in_dovecot: None, shared_database: None, tmp_path: Path, account: Account
) -> None:
    """A sender that keeps what was not answered, and an ingress that dies in between."""
    answered: list[int] = []
    stop = threading.Event()

    def send(port: int) -> None:
        number = 0
        while not stop.is_set():
            try:
                with Lines(port) as lines:
                    begin(lines, "LHLO", address_of(account.did))
                    while not stop.is_set():
                        lines.say("DATA")
                        if not lines.say(mail_of(b"\x85%d" % number) + b".").startswith("250"):
                            break
                        answered.append(number)
                        number += 1
                        lines.say("MAIL FROM:<>")
                        lines.say(f"RCPT TO:<{address_of(account.did)}>")
            except OSError:
                time.sleep(0.02)

    with ingress_process(tmp_path) as ingress:
        sender = threading.Thread(target=send, args=(ingress.port,))
        sender.start()
        try:
            for turn in range(6):
                before = len(answered)
                wait_until(lambda before=before: len(answered) > before, every=0.01)
                time.sleep(0.02 * turn)
                ingress.kill()
                ingress.start()
            before = len(answered)
            wait_until(lambda: len(answered) > before, every=0.01)
        finally:
            stop.set()
            sender.join(10)
    stored = inbox_of(account.did)
    assert {mail_with_envelope(b"\x85%d" % number) for number in answered} <= set(stored)


def test_a_mail_store_that_is_away_keeps_the_mail_with_the_sender(
    tmp_path: Path,
    shared_database: None,
    account: Account,
    settings: Settings,
    dovecot: DovecotServer,
    in_dovecot: None,
) -> None:
    url = settings.MAILBOX_URL
    settings.MAILBOX_URL = "imap://127.0.0.1:1"
    with ingress_process(tmp_path) as ingress, Lines(ingress.port) as lines:
        begin(lines, "LHLO", address_of(account.did))
        lines.say("DATA")
        assert lines.say(mail_of(b"\x85x") + b".").startswith("451 4.3.0")
    settings.MAILBOX_URL = url
    assert inbox_of(account.did) == []


def test_the_log_names_nobody(lmtp: IngressProcess, account: Account) -> None:
    with Lines(lmtp.port) as lines:
        begin(lines, "LHLO", address_of(account.did), "nobody@mail.test")
        lines.say("DATA")
        lines.say(b"Subject: very secret subject\r\n\r\nx\r\n.")
        lines.say("BOGUS")
    log = lmtp.log.read_text()
    assert "listening" in log
    for secret in ("127.0.0.1'", account.did, mailbox_name(account.did), "very secret"):
        assert secret not in log


def test_sigterm_finishes_what_was_begun(lmtp: IngressProcess, account: Account) -> None:
    assert lmtp.running is not None
    with Lines(lmtp.port) as lines:
        begin(lines, "LHLO", address_of(account.did))
        lines.say("DATA")
        lines.socket.sendall(mail_of(b"\x85last") + b".\r\n")
        time.sleep(0.005)
        os.kill(lmtp.running.pid, signal.SIGTERM)
        answer = lines.reply()
        # Either it was taken and answered, or it had not been begun.
        assert answer.startswith("250") == bool(inbox_of(account.did))
    assert lmtp.running.popen.wait(10) == 0
