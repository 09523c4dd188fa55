"""Envelopes and archives as mail."""

import base64
import email
import email.policy
import hashlib
import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.mailbox.envelope_mail import (
    MAX_ARCHIVED,
    MAX_CMS,
    MAX_ENVELOPE,
    EnvelopeError,
    archive_in_mail,
    archive_message_id,
    envelope_in_mail,
    envelope_message_id,
    mail_with_archive,
    mail_with_envelope,
    read_envelope,
)

SEALED = b"\x85\x01\x01\x01\x58\x20" + bytes(range(256)) * 4
CMS = b"\x30\x82\x04\x00" + bytes(range(256)) * 4


@given(st.binary(max_size=3000), st.sampled_from([b"\x85", b"\x30"]))
@settings(max_examples=60, deadline=None)
def test_what_is_stored_is_read_back(body: bytes, first: bytes) -> None:
    envelope = first + body
    raw = mail_with_envelope(envelope)
    assert raw == mail_with_envelope(envelope)
    read = envelope_in_mail(raw)
    assert read is not None
    assert read.data == envelope
    assert read.form == ("sealed" if first == b"\x85" else "cms")
    assert read.envelope_id == hashlib.sha256(envelope).hexdigest()


@pytest.mark.parametrize("envelope", [SEALED, CMS])
def test_the_mail_is_plain_and_says_nothing_else(envelope: bytes) -> None:
    raw = mail_with_envelope(envelope)
    raw.decode("ascii")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 100
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert not message.defects
    assert set(message) == {
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-Disposition",
    }
    assert message["Message-ID"] == envelope_message_id(hashlib.sha256(envelope).hexdigest())
    assert message.get_payload(decode=True) == envelope


def test_the_largest_envelopes_fit() -> None:
    for first, limit in ((b"\x85", MAX_ENVELOPE), (b"\x30", MAX_CMS)):
        envelope = first + bytes(limit - 1)
        read = envelope_in_mail(mail_with_envelope(envelope))
        assert read is not None
        assert read.data == envelope
        with pytest.raises(EnvelopeError) as caught:
            read_envelope(envelope + b"\0")
        assert caught.value.code == "too-large"


@pytest.mark.parametrize("data", [b"", b"\0", b"hello", b"\x82\x01", b"\x31\x80", b"{}"])
def test_what_is_no_envelope_is_not_stored_as_one(data: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        mail_with_envelope(data)
    assert caught.value.code == "not-an-envelope"


def single(body: bytes, encoding: str, content_type: str = "application/atsms-envelope") -> bytes:
    return (
        b"From: a@b.example\r\nContent-Type: "
        + content_type.encode()
        + b"\r\nContent-Transfer-Encoding: "
        + encoding.encode()
        + b"\r\n\r\n"
        + body
    )


@pytest.mark.parametrize(
    "raw",
    [
        single(base64.b64encode(SEALED), "base64"),
        single(base64.encodebytes(SEALED).replace(b"\n", b" \r\n"), "BASE64"),
        single(b"=\r\n".join(b"=%02X" % octet for octet in SEALED), "quoted-printable"),
        single(SEALED, "8bit"),
        single(SEALED, "binary"),
        single(base64.b64encode(SEALED), "base64", 'Application/ATSMS-Envelope; name="x"'),
        single(base64.b64encode(SEALED), "base64").replace(b"\r\n", b"\n"),
    ],
)
def test_every_encoding_of_a_single_part_is_read(raw: bytes) -> None:
    read = envelope_in_mail(raw)
    assert read is not None
    assert read.data == SEALED


@pytest.mark.parametrize("kind", ["application/pkcs7-mime", "application/x-pkcs7-mime; name=message.p7m"])
def test_a_bare_cms_is_read(kind: str) -> None:
    read = envelope_in_mail(single(base64.b64encode(CMS), "base64", kind))
    assert read is not None
    assert (read.form, read.data) == ("cms", CMS)


def with_attachments(*attachments: tuple[bytes, str, str]) -> bytes:
    message = EmailMessage()
    message["From"] = "a@b.example"
    message["Subject"] = "Sealed"
    message.set_content("This is a sealed message.\n")
    for data, kind, subtype in attachments:
        message.add_attachment(data, maintype=kind, subtype=subtype, filename="envelope")
    return message.as_bytes(policy=email.policy.SMTP)


def test_one_attachment_among_other_parts_is_read() -> None:
    read = envelope_in_mail(
        with_attachments((SEALED, "application", "atsms-envelope"), (b"x", "image", "png"))
    )
    assert read is not None
    assert read.data == SEALED


def test_an_attachment_two_levels_down_is_read() -> None:
    inner = with_attachments((SEALED, "application", "atsms-envelope"))
    body = inner.split(b"\r\n\r\n", 1)[1]
    boundary = email.message_from_bytes(inner).get_boundary()
    assert boundary
    raw = (
        b'Content-Type: multipart/mixed; boundary="out er"\r\n\r\npreamble\r\n--out er\r\n'
        b'Content-Type: multipart/mixed; boundary="' + boundary.encode() + b'"\r\n\r\n' + body + b"\r\n"
        b"--out er\r\nContent-Type: text/plain\r\n\r\nfooter of a mailing list\r\n--out er--\r\nepilogue"
    )
    read = envelope_in_mail(raw)
    assert read is not None
    assert read.data == SEALED


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no header at all",
        b"Subject: hello\r\n\r\nhello\r\n",
        single(b"!!!!", "base64"),
        single(base64.b64encode(SEALED)[:-3], "base64"),
        single(base64.b64encode(b"hello"), "base64"),
        single(base64.b64encode(SEALED), "x-uuencode"),
        single(base64.b64encode(CMS), "base64"),
        single(base64.b64encode(SEALED), "base64", "application/pkcs7-mime"),
        single(base64.b64encode(SEALED + bytes(MAX_ENVELOPE)), "base64"),
        with_attachments(
            (SEALED, "application", "atsms-envelope"), (SEALED, "application", "atsms-envelope")
        ),
        with_attachments((SEALED, "application", "octet-stream")),
        b"Content-Type: multipart/mixed\r\n\r\n--x\r\nContent-Type: application/atsms-envelope\r\n\r\n\x85",
        b'Content-Type: multipart/mixed; boundary="\xc3\xa9"\r\n\r\n--\xc3\xa9\r\n\r\n',
    ],
)
def test_anything_else_is_ordinary_mail(raw: bytes) -> None:
    assert envelope_in_mail(raw) is None


PARAMETERS = [
    b"boundary*=idna''ab",
    b"boundary*=undefined''ab",
    b"boundary*=punycode''%ff",
    b"boundary*=unicode_escape''%5cud800",
    b"boundary*=rot13''ab",
    b"boundary*=utf-8%00''ab",
    b"boundary*=\xff''ab",
    b"boundary*" + b"9" * 5000 + b"*=ab",
    b"boundary*=ab; boundary*0=ab",
]


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_boundary_that_cannot_be_read_makes_ordinary_mail(parameter: bytes) -> None:
    raw = b"Content-Type: multipart/mixed; " + parameter + b"\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n"
    assert envelope_in_mail(raw) is None
    assert archive_in_mail(raw) is None


@pytest.mark.parametrize("value", ["utf-8''%61b", "us-ascii'en'ab", "shift_jis''ab"])
def test_a_boundary_in_a_charset_is_read(value: str) -> None:
    part = single(base64.b64encode(SEALED), "base64")
    raw = b"Content-Type: multipart/mixed; boundary*=%s\r\n\r\n--ab\r\n" % value.encode() + part
    read = envelope_in_mail(raw + b"\r\n--ab--\r\n")
    assert read is not None
    assert read.data == SEALED


def nested(depth: int) -> bytes:
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(depth)
    )
    return head + single(base64.b64encode(SEALED), "base64")


BOMBS = {
    "5,000 nested multiparts": nested(5_000),
    "50,000 nested multiparts": nested(50_000),
    "10,000 nested with the same boundary": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    * 10_000,
    "30,000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 30_000,
    "a million headers": b"X: y\r\n" * 1_000_000 + b"\r\n",
    "100 MB of one header": b"X: " + b"y" * 30_000_000 + b"\r\n\r\n",
    "a header without an end": b"X: y\r\n" * 40_000,
    "continued header lines": b"Content-Type: multipart/mixed;\r\n" + b" \r\n" * 80_000 + b"\r\n",
    "many parameters": b"Content-Type: multipart/mixed" + b";a=b" * 15_000 + b"\r\n\r\n",
    "quotes and backslashes": b'Content-Type: multipart/mixed; boundary="' + b'\\"' * 30_000 + b"\r\n\r\n",
    "RFC 2231 pieces": b"Content-Type: multipart/mixed"
    + b"".join(b";\r\n boundary*%d*=%%41" % n for n in range(2_500))
    + b"\r\n\r\n",
    "a boundary in a charset that is slow": b"Content-Type: multipart/mixed; boundary*=punycode''"
    + b"a" * 60_000
    + b"\r\n\r\n",
    "semicolons in quotes": b'Content-Type: multipart/mixed; boundary="' + b";" * 60_000 + b'"\r\n\r\n',
    "comments": b"Content-Type: (" * 20_000 + b"\r\n\r\n",
    "encoded words": b"Content-Type: " + b"=?utf-8?q?x?=" * 4_000 + b"\r\n\r\n",
    "almost boundaries": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--b" * 50_000 + b"x",
    "spaces after a boundary": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b"
    + b" " * 250_000
    + b"x",
    "soft line ends": single(b"=\r\n" * 80_000, "quoted-printable"),
    "white space in base64": single(b" " * 250_000 + b"!", "base64"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_soon(name: str) -> None:
    started = time.process_time()
    assert envelope_in_mail(BOMBS[name]) is None
    assert time.process_time() - started < 0.5


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_no_octets_raise(noise: bytes) -> None:
    envelope_in_mail(noise)
    archive_in_mail(noise)
    envelope_in_mail(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + noise + b"\r\n--b--")
    envelope_in_mail(b"Content-Type: " + noise + b"\r\n\r\nx")
    envelope_in_mail(single(noise, "quoted-printable"))


def test_an_archive_is_read_back() -> None:
    for archived in (b"", b"\0", bytes(range(256)) * 1024):
        raw = mail_with_archive(archived, "01ab")
        assert archive_in_mail(raw) == archived
        assert archive_message_id("01ab").encode() in raw
        assert envelope_in_mail(raw) is None
    with pytest.raises(EnvelopeError) as caught:
        mail_with_archive(bytes(MAX_ARCHIVED + 1), "01ab")
    assert caught.value.code == "too-large"
    assert archive_in_mail(mail_with_envelope(SEALED)) is None


@pytest.mark.parametrize("message_id", ["", "XYZ", "01AB", "01\r\nBcc: x", "01@x"])
def test_an_id_that_is_not_hex_makes_no_header(message_id: str) -> None:
    with pytest.raises(ValueError, match="hex"):
        mail_with_archive(b"x", message_id)
