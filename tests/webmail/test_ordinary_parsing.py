"""Ordinary mail of every sort: read as well as it can be, within bounds, and made harmless."""

from __future__ import annotations

import encodings
import pkgutil
import re
import time
from datetime import UTC, datetime
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.mime_message import parsed
from webmail.ordinary import parsing
from webmail.ordinary.html import GONE, clean, text_of
from webmail.ordinary.parsing import (
    MAX_CONTAINERS,
    MAX_FIELD,
    MailSummary,
    attachment,
    read_mail,
    read_summary,
)
from webmail.ordinary.parts import MAX_ELEMENTS, MAX_PARTS, MAX_TEXT, containers_in

ALL_CODECS = [module.name for module in pkgutil.iter_modules(encodings.__path__)]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def designed_mail() -> bytes:
    mail = EmailMessage()
    mail["From"] = "Parcel desk <desk@parcels.example>"
    mail["Reply-To"] = "answers@parcels.example"
    mail["To"] = "alice@mail.test"
    mail["Subject"] = "Ihr Päckchen ist da"
    mail["Date"] = "Tue, 17 Nov 2026 17:44:00 +0100"
    mail["Message-ID"] = "<one@parcels.example>"
    mail.set_content("Hello Alice,\n\nyour parcel waits.\n")
    mail.add_alternative(
        '<p>Hello <b>Alice</b><img src="cid:logo"><img src="https://t.example/x">', subtype="html"
    )
    mail.get_payload()[1].add_related(PNG, "image", "png", cid="<logo>")  # type: ignore[union-attr,index]
    mail.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Lieferschein ä.pdf")
    return mail.as_bytes()


def test_a_mail_with_everything() -> None:
    mail = read_mail(designed_mail())
    assert (mail.sender_name, mail.sender_address) == ("Parcel desk", "desk@parcels.example")
    assert mail.answer_to == ("answers@parcels.example",)
    assert mail.subject == "Ihr Päckchen ist da"
    assert mail.date == datetime(2026, 11, 17, 16, 44, tzinfo=UTC)
    assert mail.message_ids == ("<one@parcels.example>",)
    assert mail.text == "Hello Alice,\n\nyour parcel waits.\n"
    assert mail.html is not None
    shown = clean(mail.html, mail.pictures)
    assert "data:image/png;base64," in shown.html
    assert "t.example" not in shown.html
    assert shown.left_out == 1
    names = [one.name for one in mail.attached]
    assert names == ["", "Lieferschein ä.pdf"]
    found = attachment(designed_mail(), 1)
    assert found is not None
    assert found[1] == b"%PDF-1.7"
    assert attachment(designed_mail(), 2) is None


def part(header: str, content: str) -> str:
    return f"--b\r\n{header}\r\n\r\n{content}\r\n"


def multipart(subtype: str, *parts: str) -> bytes:
    return f"Content-Type: multipart/{subtype}; boundary=b\r\n\r\n{''.join(parts)}--b--\r\n".encode()


PLAIN, HTML = "Content-Type: text/plain", "Content-Type: text/html"
UTF_8 = f"{PLAIN}; charset=utf-8"
NO_WORDS = '<style>p{}</style><p>&nbsp;</p><img src="cid:logo">'
EMPTY_LINE = '<html><head><meta charset="us-ascii"></head><body style="margin:0"><br>&nbsp;</body></html>'
INLINE_PICTURE = "Content-Type: image/png; name=a.png\r\nContent-Disposition: inline; filename=a.png"


@pytest.mark.parametrize(
    ("raw", "text", "html", "attached"),
    [
        (
            multipart("mixed", part(PLAIN, "one\r\n"), part(INLINE_PICTURE, "x"), part(PLAIN, "\r\ntwo\r\n")),
            "one\n\ntwo",
            None,
            [("a.png", "x")],
        ),
        (
            multipart("mixed", part(PLAIN, ""), part(INLINE_PICTURE, "x"), part(PLAIN, "two")),
            "two",
            None,
            [("a.png", "x")],
        ),
        (multipart("mixed", part(PLAIN, "one\r\n"), part(PLAIN, "\r\n")), "one\n", None, []),
        (
            multipart(
                "mixed",
                part(PLAIN + "; name=notes.txt\r\nContent-Disposition: inline", "the notes"),
                part(PLAIN, "one"),
                part("Content-Type: text/csv; name=bill.csv", "1,2,3"),
            ),
            "one",
            None,
            [("notes.txt", "the notes"), ("bill.csv", "1,2,3")],
        ),
        (
            multipart("mixed", part(PLAIN + "; name=notes.txt", "the notes"), part(HTML, "<p>one")),
            None,
            "<p>one",
            [("notes.txt", "the notes")],
        ),
        (
            multipart("mixed", part(PLAIN + "; name=a.txt", "a"), part(HTML + "; name=b.html", "b")),
            "a",
            None,
            [("b.html", "b")],
        ),
        (
            multipart("mixed", part(HTML, "<p>one"), part(INLINE_PICTURE, "x"), part(HTML, "<p>two")),
            None,
            "<p>one",
            [("a.png", "x"), ("", "<p>two")],
        ),
        (
            multipart(
                "alternative", part(PLAIN, "see"), part("Content-Type: text/calendar", "BEGIN:VCALENDAR")
            ),
            "see",
            None,
            [("", "BEGIN:VCALENDAR")],
        ),
        (
            multipart(
                "alternative", part(PLAIN, "one"), part(PLAIN, "other"), part(HTML + "; name=x", "<p>one")
            ),
            "one",
            "<p>one",
            [("", "other")],
        ),
        (multipart("alternative", part(PLAIN, " \r\n"), part(HTML, "<p>one")), None, "<p>one", []),
        (
            multipart("alternative", part(UTF_8, "\u00a0\r\n\u200b\ufeff"), part(HTML, "<p>one")),
            None,
            "<p>one",
            [],
        ),
        (
            multipart("mixed", part(PLAIN, "one"), part(UTF_8, "\u200d \u2060")),
            "one",
            None,
            [],
        ),
        (multipart("alternative", part(HTML, "<p>one"), part(PLAIN, "one")), "one", "<p>one", []),
        (
            multipart("mixed", part(HTML, "<p>one"), part(PLAIN, "-- \r\nthe list")),
            None,
            "<p>one",
            [("", "-- \r\nthe list")],
        ),
        (multipart("mixed", part(PLAIN, "one"), part(HTML, "<p>two")), "one", "<p>two", []),
        (multipart("mixed", part(HTML, NO_WORDS), part(PLAIN, "one")), "one", NO_WORDS, []),
        (
            multipart("mixed", part(PLAIN, " "), part(PLAIN, "one"), part(HTML, "<p>two")),
            "one",
            "<p>two",
            [],
        ),
        (
            multipart("mixed", part(HTML, EMPTY_LINE), part(INLINE_PICTURE, "x"), part(HTML, "<p>one")),
            None,
            "<p>one",
            [("a.png", "x")],
        ),
        (
            multipart("mixed", part(PLAIN, " "), part(PLAIN + "; name=notes.txt", "the notes")),
            None,
            None,
            [("notes.txt", "the notes")],
        ),
        (
            multipart("alternative", part(PLAIN + "; name=x.txt", " "), part(HTML, "<p>one")),
            None,
            "<p>one",
            [("x.txt", " ")],
        ),
        (b"Content-Type: text/plain\r\n\r\n \r\n", None, None, []),
        (
            multipart("mixed", part(HTML, "<form><input value=one></form>"), part(HTML, "<p>two")),
            None,
            "<form><input value=one></form>",
            [("", "<p>two")],
        ),
        (b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR", None, None, [("", "BEGIN:VCALENDAR")]),
        (b"Content-Type: text/plain; name=x.txt\r\n\r\nall of it", "all of it", None, []),
    ],
)
def test_every_part_is_shown_or_a_file(
    raw: bytes, text: str | None, html: str | None, attached: list[tuple[str, str]]
) -> None:
    mail = read_mail(raw)
    assert (mail.text, mail.html) == (text, html)
    found = [attachment(raw, one.number) for one in mail.attached]
    assert [(one[0].name, one[1].decode()) for one in found if one] == attached


def test_what_is_more_than_a_page_shows_is_a_file() -> None:
    words, elements = "x" * (MAX_TEXT - 1), "<p>x" * (MAX_ELEMENTS + 1)
    raw = multipart("mixed", part(PLAIN, words), part(PLAIN, "second"), part(HTML, elements))
    mail = read_mail(raw)
    assert (mail.text, mail.html, mail.too_complex) == (words, None, False)
    assert [(one.media_type, one.size) for one in mail.attached] == [
        ("text/plain", 6),
        ("text/html", len(elements)),
    ]
    after_spaces = multipart("mixed", part(PLAIN, "one"), part(PLAIN, " " * MAX_TEXT + "letter"))
    assert [one.size for one in read_mail(after_spaces).attached] == [MAX_TEXT + 6]
    beside_blank = read_mail(multipart("alternative", part(PLAIN, " "), part(HTML, elements)))
    assert beside_blank.too_complex
    assert elements in (beside_blank.text or "")
    alone = read_mail(f"{HTML}\r\n\r\n{elements}".encode())
    assert alone.too_complex
    assert [one.size for one in alone.attached] == [len(elements)]


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        ("iso-8859-1", b"Gr\xfc\xdfe", "Grüße"),
        ("shift_jis", "こんにちは".encode("shift_jis"), "こんにちは"),
        ("koi8-r", "привет".encode("koi8-r"), "привет"),
        ("no-such-charset", "Grüße".encode(), "Grüße"),
        ("us-ascii", b"Gr\xfc\xdfe", "Grüße"),
        ("utf-8", b"\xff\xfe bad", "ÿþ bad"),
        ("utf-16", b"\x00", "\ufffd"),
        ("", "日本".encode(), "日本"),
        ("rot13", b"uryyb", "uryyb"),
        ("hex", b"zz", "zz"),
        ("undefined", b"hello", "hello"),
        ("punycode", b"hello-", "hello-"),
        ("unicode_escape", rb"\ud800", r"\ud800"),
        ("utf-7", b"Gr+APwA3w-e", "Grüße"),
        ("utf-7", b"a +2AA- b", "a ? b"),
        ("a\x01b", b"hello", "hello"),
    ],
)
def test_charsets(charset: str, octets: bytes, text: str) -> None:
    header = f'Content-Type: text/plain; charset="{charset}"' if charset else "Content-Type: text/plain"
    assert read_mail(f"{header}\r\nSubject: x\r\n\r\n".encode() + octets).text == text


@pytest.mark.parametrize("codec", ALL_CODECS)
@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/plain; charset={}",
        "Content-Type: text/plain; charset*={}''%ff",
        "Content-Type: text/plain; charset*=utf-8''{}",
        "Content-Disposition: attachment; filename*={}''x%ff",
        "Content-Type: multipart/mixed; boundary*={}''b%ff",
        "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; charset={}",
        "Subject: =?{}?q?a=ff-?= =?{}?b?+2AA?=",
        "From: =?{}?q?a=ff-?= <a@b.example>",
    ],
)
def test_a_mail_may_name_any_codec_anywhere(codec: str, header: str) -> None:
    raw = header.replace("{}", codec).encode() + b"\r\n\r\n\xff hello +2AA- \\ud800\r\n"
    mail, summary = read_mail(raw), read_summary(raw)
    assert not mail.too_complex
    assert (mail.sender_name, mail.subject) == (summary.sender_name, summary.subject)
    for text in (mail.sender_name, mail.subject, mail.text or "", *(one.name for one in mail.attached)):
        text.encode()
    for one in mail.attached:
        assert attachment(raw, one.number) is not None


@pytest.mark.parametrize(
    "disposition",
    [
        b"filename*=idna''x",
        b"filename*=undefined''x",
        b"filename*=punycode''%ff",
        b"filename*=x; filename*0=y",
        b"filename*" + b"9" * 5000 + b"*=x",
        b"filename*=utf-8%00''x",
        b"filename=" + b";" * 100_000,
    ],
    ids=lambda disposition: disposition[:30],
)
def test_a_file_whose_name_cannot_be_read_is_a_file(disposition: bytes) -> None:
    raw = b"Content-Disposition: attachment; " + disposition + b"\r\n\r\ncontent"
    (one,) = read_mail(raw).attached
    assert one.size == 7
    found = attachment(raw, 0)
    assert found is not None
    assert found[1] == b"content"


def test_a_name_in_a_charset_is_read() -> None:
    for value, name in (("utf-8'de'%C3%84 %3Cx%3E", "Ä <x>"), ("koi8-r''%D0%D2%C9", "при"), ("x''%ff", "ÿ")):
        raw = f"Content-Disposition: attachment; filename*={value}\r\n\r\n".encode()
        assert [one.name for one in read_mail(raw).attached] == [name]


@pytest.mark.parametrize(
    ("inner", "kept"),
    [
        (b"Content-Type: multipart/mixed\r\n\r\nGr\xfc\xdfe", b"Gr\xfc\xdfe"),
        (b"Content-Type: multipart/mixed; charset=undefined\r\n\r\n\xff", b"\xff"),
        (b"Subject: a\x0cX: b\r\n\r\nhello \xff", b"hello \xff"),
        (
            b"Subject: a\x0cX: b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello",
            b"hello",
        ),
    ],
)
def test_a_mail_within_a_mail_is_a_file_whatever_is_in_it(inner: bytes, kept: bytes) -> None:
    raw = b"Content-Type: message/rfc822\r\n\r\n" + inner
    (one,) = read_mail(raw).attached
    found = attachment(raw, 0)
    assert found is not None
    assert kept in found[1]
    assert one.size == len(found[1])


def test_what_is_not_uuencoded_is_as_it_is() -> None:
    raw = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 666 x\n#\x7f\x7f\x7f\x7f\nend\n"
    mail = read_mail(raw)
    assert not mail.too_complex
    assert (mail.text or "").startswith("begin 666 x")


def test_a_mail_that_breaks_its_reader_shows_its_source_and_is_in_no_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(message: Message, name: str) -> None:
        raise RuntimeError(message.as_string())

    monkeypatch.setattr(parsing, "_field", broken)
    raw = b"Subject: secret\r\n\r\nhello \xff"
    assert read_summary(raw) == MailSummary("", "", "")
    mail = read_mail(raw)
    assert mail.too_complex
    assert mail.text == "Subject: secret\n\nhello ÿ"
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_a_list_needs_no_more_than_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_at(_message: object) -> None:
        raise AssertionError("a part was looked at")

    monkeypatch.setattr(parsing, "leaves", looked_at)
    summary = read_summary(designed_mail())
    assert (summary.sender_name, summary.sender_address) == ("Parcel desk", "desk@parcels.example")
    assert summary.subject == "Ihr Päckchen ist da"


@pytest.mark.parametrize(
    ("header", "name", "address"),
    [
        ("From: =?utf-8?q?J=C3=B6rg?= <j@a.example>", "Jörg", "j@a.example"),
        ("From: =?utf-8?b?!!!?= <j@a.example>", "<j@a.example>", ""),
        ("From: one@a.example, two@b.example", "one@a.example, two@b.example", ""),
        ("From: one@a.example\r\nFrom: two@b.example", "one@a.example", ""),
        ("From: alice@good.example <bob@bad.example>", "alice@good.example <bob@bad.example>", ""),
        ("X: nobody", "", ""),
    ],
)
def test_who_it_says_it_is_from(header: str, name: str, address: str) -> None:
    mail = read_mail(f"{header}\r\n\r\nx".encode())
    assert (mail.sender_name, mail.sender_address) == (name, address)


def test_a_header_in_utf_8_is_read_as_such() -> None:
    mail = read_mail("From: Jörg <j@a.example>\r\nSubject: Größe\r\nTo: 日本 <b@b.example>\r\n\r\nx".encode())
    assert (mail.sender_name, mail.sender_address, mail.subject) == ("Jörg", "j@a.example", "Größe")
    assert (mail.answer_to, mail.others) == (("j@a.example",), ("b@b.example",))
    assert read_mail("Subject: Größe".encode("latin-1")).subject == "Größe"


def test_what_is_shown_beside_other_things_can_neither_turn_nor_flood_them() -> None:
    mail = read_mail(b"Subject: =?utf-8?q?a=E2=80=AEbad=E2=81=A6?= \x07\r\n b\r\n\r\nx")
    assert mail.subject == "abad b"
    assert len(read_mail(b"Subject: " + b"m" * 100_000 + b"\r\n\r\nx").subject) == MAX_FIELD


@pytest.mark.parametrize(
    "address",
    [
        "a@b\r\nRCPT TO:<c@d>",
        "a b@c.example",
        "<script>@x.example",
        "a@b..c",
        "a@",
        "@b.example",
        "ä b@b.example",
        "ä\r\nRCPT TO:<c@d>@b.example",
        "ä@b..example",
        "a@bü\u200bcher.\u202eexample",
    ],
)
def test_an_answer_goes_only_to_what_is_an_address(address: str) -> None:
    assert read_mail(f"Reply-To: {address}\r\n\r\nx".encode()).answer_to == ()


def test_what_is_too_complex_shows_its_source() -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
        for number in range(MAX_CONTAINERS + 1)
    )
    mail = read_mail(b"Subject: deep\r\n" + nested)
    assert mail.too_complex
    assert mail.subject == "deep"
    assert mail.text is not None
    assert "multipart/mixed" in mail.text
    assert attachment(b"Subject: deep\r\n" + nested, 0) is None


def test_what_has_too_many_parts_shows_its_source() -> None:
    most = multipart("mixed", *[part(PLAIN, f"number {count}") for count in range(MAX_PARTS - 1)])
    assert not read_mail(most).too_complex
    raw = multipart("mixed", *[part(PLAIN, f"number {count}") for count in range(MAX_PARTS)])
    mail = read_mail(raw)
    assert mail.too_complex
    assert mail.text is not None
    assert f"number {MAX_PARTS - 1}" in mail.text
    assert attachment(raw, 0) is None


def test_links_that_look_like_types_are_no_containers() -> None:
    link = '<p><a href="https://lists.example/list/message/7/">multipart/mixed</a>'
    head = PLAIN + "; name=content-type:message/rfc822.txt"
    raw = multipart("mixed", part(HTML, link * 41), *[part(head, ">Content-Type: message/rfc822")] * 41)
    mail = read_mail(raw)
    assert (mail.too_complex, mail.html) == (False, link * 41)
    assert len(mail.attached) == 41


OPENED = "multipart/mixed; boundary={n}\r\n\r\n--{n}\r\n"


@pytest.mark.parametrize(
    "layer",
    [
        f"Content-Type: {OPENED}",
        f"CONTENT-TYPE:{OPENED}".replace("multipart", "MULTIPART"),
        f"Content-Type:\r\n \r\n\t {OPENED}",
        f"Content-Type: \x0b\x1c {OPENED}",
        f"X: y\rContent-Type: {OPENED}",
        f"X: y\nContent-Type:\n {OPENED}",
        f"Content-Type: {OPENED}".replace("mixed", "digest") + "\r\n",
        "Content-Type: message/rfc822\r\n\r\n",
    ],
)
def test_no_mail_nests_deeper_than_its_types_are_counted(layer: str) -> None:
    def depth(message: Message) -> int:
        inner = message.get_payload()
        children = [each for each in inner if isinstance(each, Message)] if isinstance(inner, list) else []
        return 1 + max(map(depth, children)) if children else 0

    raw = "".join(layer.format(n=number) for number in range(15)).encode()
    assert 15 <= depth(parsed(raw)) <= containers_in(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"\ncontent-type:" * 30_000,
        b"content-type:" + b" " * 400_000,
        b"a: b\r\n" * 80_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 40_000,
        b"Subject: " + b"=?utf-8?q?a?= " * 30_000 + b"\r\n\r\n",
        b"From: " + b"a@b.example, " * 30_000 + b"\r\n\r\n",
        b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000,
        b"Content-Type: text/html\r\n\r\n" + b"<div" * 130_000,
        b"Content-Type: text/html\r\n\r\n" + b"<div>" * 8_000,
        b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 500_000,
        b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"a" * 500_000,
        b"Content-Disposition: attachment; filename*=punycode''" + b"a" * 500_000,
        b'Content-Type: text/plain; name="' + b";" * 500_000 + b'"',
        b"Subject: =?punycode?q?" + b"a" * 500_000 + b"?=",
    ],
)
def test_hostile_mails_take_no_long_time(raw: bytes) -> None:
    started = time.process_time()
    mail = read_mail(raw[: 512 * 1024])
    if mail.html:
        clean(mail.html, {})
        text_of(mail.html)
    # A bound against growth by powers, far above what such a mail takes.
    assert time.process_time() - started < 30


@given(st.binary(max_size=2000))
def test_any_octets_are_a_mail(octets: bytes) -> None:
    mail = read_mail(octets)
    for one in mail.attached:
        assert attachment(octets, one.number) is not None


HOSTILE = [
    "<svg><animate attributeName=href values=javascript:alert(1)></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='  javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<img src=x onerror=alert(1)>",
    "<body background=https://t.example/a onload=alert(1)>",
    "<table background='https://t.example/a'><td background=//t.example/b>",
    "<div style='background:url(https://t.example/a)'>x</div>",
    "<style>@import 'https://t.example/a';</style>",
    "<link rel=stylesheet href=https://t.example/a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<form action=https://t.example/a><input name=q></form>",
    "<div hx-get=/sign-out data-hx-post=/x hx-on:click=alert(1)>x</div>",
    "<base href=https://t.example/>",
    "<meta http-equiv=refresh content='0;url=https://t.example/'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<img srcset='https://t.example/a 2x' src='cid:no'>",
    "<video src=https://t.example/a poster=https://t.example/b></video>",
    "<!--<img src=https://t.example/a>--><p>x",
    "<div style='position:fixed!important;inset:0'>x</div>",
]


def test_a_picture_that_is_named_often_is_not_shown_as_often() -> None:
    picture = b"\x00" * 300_000
    shown = clean('<img src="cid:big">' * 5000, {"big": ("image/png", picture)})
    assert len(shown.html) < 4_000_000
    assert 0 < shown.html.count("data:image/png") <= 10
    assert shown.left_out > 4900


@pytest.mark.parametrize("html", HOSTILE)
def test_nothing_runs_loads_or_covers(html: str) -> None:
    shown = clean(html, {}).html
    assert not re.search(r"javascript:|onerror|onload|hx-|style=|srcset|background|t\.example|cid:", shown)
    assert not re.search(rf"<({'|'.join(GONE)})\b", shown)


@given(st.lists(st.sampled_from([*HOSTILE, "<b>", "</p>", "<", "'", '"', "&lt;", "]]>"]), max_size=8))
def test_cleaning_twice_is_cleaning_once(pieces: list[str]) -> None:
    once = clean("".join(pieces), {}).html
    assert clean(once, {}).html == once


def test_the_words_of_html() -> None:
    html = "<h1>Hello</h1><p>one&nbsp;two</p><br>three<br><style>p{}</style><ul><li>a</li><li>b</li></ul>"
    assert text_of(html).split() == ["Hello", "one", "two", "three", "a", "b"]
    assert "Hello\n" in text_of(html)
