"""What mail servers and other installations send here: mails, reports, addresses, bodies, replies."""

import encodings
import pkgutil
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import httpx
from django.conf import settings

from tests.fuzzing.target import json_bytes, target
from webmail.carriers import https, smtp
from webmail.carriers.bounces import bounce_local_part, report_in_mail, token_of_local_part, unread_report
from webmail.carriers.outcomes import MAX_REPLY, Deferred, outcome_of_http, outcome_of_smtp
from webmail.carriers.sentences import SENTENCES
from webmail.ingress import IngressRefusal
from webmail.ingress_http import envelope_in_body
from webmail.ingress_mail import MailboxAddress, read_address, replies_to_mail, reply_to_recipient
from webmail.mailbox import MailboxError
from webmail.mailbox.envelope_mail import (
    archive_in_mail,
    envelope_in_mail,
    mail_with_archive,
    mail_with_envelope,
)
from webmail.mailbox.maildir import _digest_of_mail
from webmail.mailbox.names import did_of_local_part, mailbox_name
from webmail.ordinary.answer import Addressees, addressees, answer_mail
from webmail.ordinary.html import clean, text_of
from webmail.ordinary.links import with_places
from webmail.ordinary.parsing import _read, attachment, read_summary

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SEALED, CMS = b"\x85\x01\x01\x01X " + bytes(80), b"\x30\x50" + bytes(80)
DOMAINS = ["mail.test"]
ADDRESSES = [MailboxAddress("did:plc:alicealicealicealicealic")]
MIME_WORDS = (
    *(b"\r\n\r\n", b"\r\n--b\r\n", b"--b--", b'boundary="b"', b"multipart/mixed; ", b"message/rfc822"),
    *(
        b"application/atsms-envelope",
        b"application/pkcs7-mime",
        b"base64",
        b"quoted-printable",
        b"=?utf-8?b?",
    ),
    *(b"Content-Type: ", b"Content-Transfer-Encoding: ", b"boundary*0=", b"charset=", b"\r\n ", b'"'),
    *(b"boundary*=idna''b", b"filename*=undefined''b", b"filename*0*=utf-8''%ff", b"=?punycode?q?=ff?="),
)


def _mails() -> Iterator[bytes]:
    stored = mail_with_envelope(SEALED)
    yield stored
    yield mail_with_envelope(CMS)
    yield mail_with_archive(b"archived", "01" * 32)
    part = b"\r\n".join(line for line in stored.split(b"\r\n") if not line.startswith((b"Mess", b"MIME")))
    text = b"Content-Type: text/plain\r\n\r\nHello\r\n"
    mixed = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    yield mixed + b"--b\r\n" + text + b"--b\r\n" + part + b"\r\n--b--\r\n"
    nested = b'Content-Type: multipart/mixed; boundary="c"\r\n\r\n--c\r\n' + part + b"\r\n--c--\r\n"
    yield mixed + b"--b\r\n" + nested + b"--b--\r\n"
    link = b'<p><a href="https://evil.example">\n<b>bank.example</b></a></p>\r\n'
    yield b"Content-Type: text/html\r\n\r\n" + link
    yield b"Subject: =?utf-8?q?Hello?=\r\nContent-Type: application/pkcs7-mime\r\n" + (
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=30=50\r\n"
    )


class _Door:
    """Takes everything in."""

    def check_recipient(self, did: str, *, now: datetime) -> None:
        pass

    def accept(self, did: str, envelope: bytes, *, now: datetime) -> object:
        assert envelope[:1] in (b"\x85", b"\x30")
        return None

    def accept_mail(self, did: str, raw: bytes, *, now: datetime) -> None:
        assert b"\0" not in raw

    def accept_report(self, token: str, raw: bytes, *, now: datetime) -> None:
        report_in_mail(raw)
        unread_report(raw)


@target(_mails, words=MIME_WORDS)
def mail_target(data: bytes) -> None:
    found = envelope_in_mail(data)
    if found is not None:
        again = envelope_in_mail(mail_with_envelope(found.data))
        assert again == found
    archived = archive_in_mail(data)
    if archived is not None:
        assert archive_in_mail(mail_with_archive(archived, "01")) == archived
    errors: list[Exception] = []
    (reply,) = replies_to_mail(ADDRESSES, data, _Door(), now=NOW, on_error=errors.append)
    assert not errors, errors
    assert reply[:3].isdigit()


@target(
    _mails,
    words=(
        *MIME_WORDS,
        b"Subject: ",
        b"From: a <b@c.example>, ",
        b"Date: Tue, 17 Nov 2026 17:44:00 ",
        b"cid:",
        *(b'<a href="https://', b"</a>", b"text/html"),
    ),
)
def ordinary_mail_target(data: bytes) -> None:
    # Not by read_mail, which shows what fails here as its source.
    mail, summary = _read(data), read_summary(data)
    assert (mail.sender_name, mail.subject) == (summary.sender_name, summary.subject)
    for text in (mail.sender_name, mail.subject, mail.text or "", *(one.name for one in mail.attached)):
        text.encode()
    for one in mail.attached:
        assert attachment(data, one.number) is not None
    if mail.html is not None:
        cleaned = clean(mail.html, mail.pictures).html
        assert "<script" not in cleaned
        assert len(with_places(cleaned)) >= len(cleaned)
        text_of(mail.html)
    whom = addressees(mail, is_own=lambda address: False, may_reach=lambda address: True)
    if isinstance(whom, Addressees):
        made = {"sender_name": "A", "sender": "a@mail.test", "message_id": "<a@mail.test>", "now": NOW}
        answer = answer_mail(mail, to=whom.to, cc=whom.cc, text=mail.text or "", **made)  # type: ignore[arg-type]
        assert answer.partition(b"\r\n\r\n")[0].lower().count(b"\r\nto: ") == 1


@target(_mails, words=(b"Message-ID: ", b"\r\n ", b"=?utf-8?b?", b"\x80", b"<", b"@"))
def mail_id_target(data: bytes) -> None:
    assert len(_digest_of_mail(data)) == 32


def _reports() -> Iterator[bytes]:
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=x; boundary=b\r\n\r\n"
    for action, status in ((b"failed", b"5.1.1"), (b"delayed", b"4.4.1"), (b"delivered", b"2.0.0")):
        fields = (
            b"Reporting-MTA: dns; mx.test\r\n\r\nFinal-Recipient: rfc822; bob@mx.test\r\nAction: " + action
        )
        fields += b"\r\nStatus: " + status + b"\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
        yield (
            head
            + b"--b\r\nContent-Type: message/delivery-status\r\n\r\n"
            + fields
            + (b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n")
        )


@target(_reports, words=(*MIME_WORDS, b"message/delivery-status", b"Action: failed", b"Status: 5.1.1"))
def delivery_report_target(data: bytes) -> None:
    for recipient in (None, "did:plc:alicealicealicealicealic"):
        report = report_in_mail(data, recipient=recipient)
        if report is not None:
            assert report.outcome.reply.isprintable()
            assert len(report.outcome.reply) <= MAX_REPLY
            assert report.outcome.code in SENTENCES
            assert all(len(name) == 64 for name in report.envelope_ids)
    unread = unread_report(data)
    if unread is not None:
        assert unread.words.isprintable() or not unread.words
        assert len(unread.words) <= MAX_REPLY


def _codecs() -> Iterator[bytes]:
    """Everything that Python would decode by, with octets that it can decode slowly or not at all."""
    for module in pkgutil.iter_modules(encodings.__path__):
        yield from (module.name.encode() + b"\nab", module.name.encode() + b"\nab%ff")
    yield b"utf-8*en\n+2AA-"


@target(_codecs, words=(b"utf-7", b"=ff", b"%ff", b"''", b"*0*", b"+2AA-", b"\\ud800"))
def mail_charset_target(data: bytes) -> None:
    """A name of a charset and octets, wherever a mail may have such; and as many as show a slow codec."""
    name, _, octets = data.partition(b"\n")
    name, octets = re.sub(rb"[\r\n]", b"", name), octets or b"a"
    field = re.sub(rb"[\s;\"]", b"", octets) or b"a"
    word = b"=?" + name + b"?b?" + b64encode(octets[:40]) + b"?="
    header = b"From: " + word + b" <a@b.example>\r\nSubject: " + word + b"\r\n"
    text, value = b"Content-Type: text/plain; charset=" + name + b"\r\n\r\n", b"*=" + name + b"''" + field
    pieces = (
        b"Content-Type: text/plain; charset" + value + b"\r\n\r\n" + octets,
        b"Content-Disposition: attachment; filename" + value + b"\r\n\r\n" + octets,
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; charset=" + name + b"\r\n\r\n\xff",
        text + octets,
    )
    split = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    split += b"".join(b"--b\r\n" + piece + b"\r\n" for piece in pieces) + b"--b--\r\n"
    unsplit = b"Content-Type: multipart/report; boundary" + value + b"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
    for mail in (split, unsplit, text + octets):
        mail_target.decode(header + mail)
        ordinary_mail_target.decode(header + mail)
        # What mail servers write is looked at more closely.
        delivery_report_target.decode(b"From: mailer-daemon@mx.test\r\n" + mail)
    _read(text + _repeated(octets, 400_000))
    _read(b"Content-Disposition: attachment; filename*=" + name + b"''" + _repeated(field, 100_000))


def _repeated(octets: bytes, length: int) -> bytes:
    return (octets * (length // len(octets) + 1))[:length]


def _addresses() -> Iterator[bytes]:
    for local in ("did!plc!alicealicealicealicealic", "plc.alicealicealicealicealic", "web.Ym9iLmV4YW1wbGU"):
        yield f"{local}@mail.test".encode()
    yield b'"did:web:bob.example"@mail.test'
    yield f"{bounce_local_part('17', settings.SECRET_KEY)}@mail.test".encode()


@target(_addresses, words=(b"did!plc!", b"did!web!", b"web.", b"@mail.test", b"%3A", b"#", b"\\"))
def mail_address_target(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    read = read_address(text, domains=DOMAINS, secret=settings.SECRET_KEY)
    assert reply_to_recipient(read, _Door(), now=NOW)[:1] in "25"
    if isinstance(read, MailboxAddress):
        assert did_of_local_part(mailbox_name(read.did)) == read.did
    token = token_of_local_part(text, settings.SECRET_KEY)
    assert token is None or bounce_local_part(token, settings.SECRET_KEY) == text.lower()
    try:
        mailbox_name(text)
    except MailboxError:
        return


def _bodies() -> Iterator[bytes]:
    yield json_bytes({"envelope": "hQEBAVgg"})
    yield json_bytes({"envelope": "MAA=", "other": [{}]})


@target(_bodies, words=(b'"envelope":"', b"\\u0041", b"==", b"[["), is_json=True)
def inbox_body_target(data: bytes) -> None:
    with suppress(IngressRefusal):
        assert isinstance(envelope_in_body(data), bytes)


def _replies() -> Iterator[bytes]:
    yield b"550\n30\n5.1.1 no such user"
    yield b"429\nSat, 21 Nov 2026 08:00:00 GMT\n" + json_bytes({"message": "slow down"})
    yield b"250\n\n2.0.0 queued"


@target(_replies, words=(b"5.7.26", b"GMT", b"+0000", b"-9999", b'"message":"', b"\xe2\x80\xae"))
def server_reply_target(data: bytes) -> None:
    """A status, when to try again, and words: as a mail server's reply and as an HTTPS answer."""
    status, _, rest = data.partition(b"\n")
    retry_after, _, words = rest.partition(b"\n")
    code = int(status) if status.isdigit() and len(status) < 4 else 0
    later = retry_after.decode("latin-1")
    answer = httpx.Response(200, content=words, headers={"content-type": "application/json"})
    for outcome in (
        smtp._answer(code, words),
        outcome_of_smtp(code, words.decode("latin-1")),
        outcome_of_http(code, https._words(answer), retry_after=later, now=NOW),
    ):
        assert outcome.reply.isprintable()
        assert len(outcome.reply) <= 504
        if isinstance(outcome, Deferred) and outcome.retry_after is not None:
            assert 0 < outcome.retry_after.total_seconds() <= 86400
