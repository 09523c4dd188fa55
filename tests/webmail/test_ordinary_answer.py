"""From a mail and a text to the mail that answers it: whom it goes to, and what its header says."""

from __future__ import annotations

import base64
import email.utils
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.ordinary.answer import (
    MAX_QUOTED,
    MAX_RECIPIENTS,
    Addressees,
    addressees,
    answer_mail,
    quoted,
    subject_of,
    takes_reports,
)
from webmail.ordinary.parsing import read_mail

NOW = datetime(2026, 11, 28, 12, 0, 0, 500, tzinfo=UTC)
OWN = "did!plc!ewvi7nxzyoun6zhxrhs64oiz@mail.test"
FIELDS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
}
NAME = f"<{'ab' * 32}@mail.test>"


def whom(header: str) -> Addressees | str:
    mail = read_mail(f"{header}\r\n\r\nx".encode())
    return addressees(
        mail,
        is_own=lambda address: address.lower() == OWN,
        may_reach=lambda address: "." in address.rpartition("@")[2],
    )


def answered(raw: bytes, text: str = "Yes.", **other: object) -> EmailMessage:
    """The answer to a mail as the other side reads it."""
    given: dict[str, object] = {
        "sender_name": "Alice",
        "sender": OWN,
        "to": ["a@b.example"],
        "cc": [],
        "message_id": NAME,
        "now": NOW,
    }
    octets = answer_mail(read_mail(raw), text=text, **(given | other))  # type: ignore[arg-type]
    assert max(octets) < 128
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    return message_from_bytes(octets, policy=policy.default)


@pytest.mark.parametrize(
    ("header", "to", "cc"),
    [
        ("From: J <j@a.example>", "j@a.example", ""),
        ("From: j@a.example\r\nReply-To: k@b.example", "k@b.example", ""),
        ("From: j@a.example\r\nReply-To:", "j@a.example", ""),
        ("From: j@a.example\r\nReply-To: k@b.example, L <l@b.example>", "k@b.example l@b.example", ""),
        (f"From: j@a.example\r\nTo: {OWN.upper()}, b@b.example", "j@a.example", "b@b.example"),
        (
            "From: j@a.example\r\nTo: b@b.example\r\nCc: J@A.example, b@b.example",
            "j@a.example",
            "b@b.example",
        ),
        ("From: j@a.example\r\nReturn-Path: <bounces+7@l.example>", "j@a.example", ""),
        ("From: j@a.example\r\nTo: l@l.example, l-bounces@l.example", "j@a.example", "l@l.example"),
        ("From: j@a.example\r\nTo: b@intranet, c@c.example", "j@a.example", "c@c.example"),
        # By the name that DNS has; a full stop of other scripts is one.
        ("From: a@bücher.example", "a@xn--bcher-kva.example", ""),
        ("From: a@b.example\r\nReply-To: a@例え。\uff2a\uff30", "a@xn--r8jz45g.jp", ""),
        ("From: j@a.example\r\nCc: c@straße.example", "j@a.example", "c@xn--strae-oqa.example"),
        ("From: Jürgen <jürgen@b.example>", "jürgen@b.example", ""),
        ("From: 用户@例え.jp", "用户@xn--r8jz45g.jp", ""),
        # All addresses stand in the mail, which then only servers with SMTPUTF8 take.
        ("From: jürgen@b.example\r\nTo: c@c.example", "jürgen@b.example", ""),
        ("From: j@a.example\r\nTo: jürgen@b.example, c@c.example", "j@a.example", ""),
        # Of a list that holds something unreadable, nothing is guessed.
        ("From: j@a.example\r\nTo: <b@b.example\r\nCc: c@c.example", "j@a.example", "c@c.example"),
    ],
)
def test_whom_an_answer_goes_to(header: str, to: str, cc: str) -> None:
    assert whom(header) == Addressees(tuple(to.split()), tuple(cc.split()))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("X: nobody", "no-address"),
        ("From: a@b.example, c@d.example <evil@e.example>", "no-address"),
        ("From: a@b.example\r\nReply-To: nonsense", "no-address"),
        ("From: a@b.example\r\nReply-To: c@d.example\r\nReply-To: e@f.example", "no-address"),
        ("From: a@localhost", "no-address"),
        ("From: ä\u202eb@b.example", "utf8"),
        ("From: \u200d\u00e4@b.example", "utf8"),
        ("From: ä😀@b.example", "utf8"),
        (f"From: {'ä' * 33}@b.example", "utf8"),
        ("From: a@b.example\r\nReply-To: a@bü_cher.example", "utf8"),
        ("From: a@b.example\r\nReply-To: a@☃\u202e.example", "utf8"),
        (f"From: a@{'ü' * 300}.example", "utf8"),
        ("From: a@\uff4c\uff4fcalhost", "no-address"),
        (f"From: {OWN}", "own-address"),
        ("From: MAILER-DAEMON@b.example", "takes-reports"),
        ("From: news-bounces+alice=mail.test@lists.example", "takes-reports"),
        ("From: a@b.example\r\nReply-To: bounce-17@b.example", "takes-reports"),
    ],
)
def test_what_cannot_be_answered_says_why(header: str, reason: str) -> None:
    assert whom(header) == reason


def test_people_whose_names_hold_such_words_can_be_answered() -> None:
    assert not takes_reports("bouncer@b.example")
    assert not takes_reports("postmaster@b.example")
    assert not takes_reports("anna.bounce@b.example")


def test_an_answer_to_more_than_it_may_go_to_goes_to_the_sender_alone() -> None:
    many = ", ".join(f"p{number}@a.example" for number in range(MAX_RECIPIENTS))
    assert whom(f"From: j@a.example\r\nTo: {many}") == Addressees(("j@a.example",), ())
    found = whom(f"From: p0@a.example\r\nTo: {many}")
    assert isinstance(found, Addressees)
    assert len(found.all) == MAX_RECIPIENTS
    endless = ", ".join(f"p{number}@a.example" for number in range(1000))
    assert whom(f"From: j@a.example\r\nTo: {endless}") == Addressees(("j@a.example",), ())
    assert whom(f"From: j@a.example\r\nReply-To: {many}, z@a.example") == "no-address"


def test_the_header_of_an_answer() -> None:
    raw = (
        b"From: a@b.example\r\nMessage-ID: <two@b.example>\r\nIn-Reply-To: <one@b.example>\r\n"
        b"References: <zero@b.example>\r\n <one@b.example>\r\nSubject: Supper\r\n\r\nShall we?"
    )
    answer = answered(raw, "Grüße,\n.\nFrom here", cc=["c@d.example", "e@f.example"])
    assert answer["From"] == f"Alice <{OWN}>"
    assert answer["To"] == "a@b.example"
    assert answer["Cc"] == "c@d.example, e@f.example"
    assert answer["Subject"] == "Re: Supper"
    assert answer["Date"] == "Sat, 28 Nov 2026 12:00:00 +0000"
    assert answer["Message-ID"] == NAME
    assert answer["In-Reply-To"] == "<two@b.example>"
    assert str(answer["References"]).split() == ["<zero@b.example>", "<one@b.example>", "<two@b.example>"]
    assert answer.get_content_type() == "text/plain"
    assert answer.get_content() == "Grüße,\r\n.\r\nFrom here\r\n"
    # It is a person who answers, and nothing says with what.
    assert set(answer.keys()) == FIELDS | {"Cc", "In-Reply-To", "References"}


@pytest.mark.parametrize(
    ("header", "references"),
    [
        ("X: y", None),
        ("Message-ID: <m@x>", "<m@x>"),
        ("Message-ID: <m@x>\r\nIn-Reply-To: <p@x>", "<p@x> <m@x>"),
        # Of several it is not known which led here (RFC 5322 §3.6.4).
        ("Message-ID: <m@x>\r\nIn-Reply-To: <p@x> <q@x>", "<m@x>"),
        ("In-Reply-To: <p@x>", "<p@x>"),
        ("Message-ID: m@x evil\r\nReferences: nonsense", None),
    ],
)
def test_what_an_answer_refers_to(header: str, references: str | None) -> None:
    answer = answered(f"{header}\r\n\r\nx".encode())
    found = answer["References"]
    assert (" ".join(str(found).split()) if found else None) == references


def test_long_message_ids_stay_what_they_are() -> None:
    ids = [f"<{letter * 180}@x.example>" for letter in "abcdefgh"]
    header = f"Message-ID: {ids[-1]}\r\nReferences: {' '.join(ids[:-1])}"
    octets = answer_mail(
        read_mail(f"{header}\r\n\r\nx".encode()),
        sender_name="Alice",
        sender=OWN,
        to=["a@b.example"],
        cc=[],
        text="x",
        message_id=NAME,
        now=NOW,
    )
    assert all(one.encode() in octets for one in ids)
    assert f"In-Reply-To: {ids[-1]}\r\n".encode() in octets


@pytest.mark.parametrize(
    ("subject", "answered_subject"),
    [
        ("Supper", "Re: Supper"),
        ("Re: Supper", "Re: Supper"),
        ("RE : x", "RE : x"),
        ("", "Re:"),
        ("Rental", "Re: Rental"),
    ],
)
def test_the_subject(subject: str, answered_subject: str) -> None:
    assert subject_of(subject) == answered_subject


def test_a_quote_marks_every_line_and_has_an_end() -> None:
    assert quoted("a\n\n> b\n", "J wrote:") == "J wrote:\n> a\n> \n>> b"
    long = quoted("日" * MAX_QUOTED, "J wrote:")
    assert len(long.encode()) < MAX_QUOTED + 100
    assert long.endswith("日\n> […]")


HOSTILE = st.text(st.sampled_from('\r\n\0\t\x0b\x0c\x1c\x85\u2028:; ,<>@"\\()=?ab=?utf-8?q?日é'), max_size=60)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_that_came_in_a_mail_adds_a_line_to_the_header(subject: str, name: str, text: str) -> None:
    encoded = "".join(f"={octet:02X}" for octet in subject.encode())
    raw = (
        f"From: a@b.example\r\nSubject: =?utf-8?q?{encoded}?=\r\nMessage-ID: <{name.strip()}@x>\r\n"
        f"References: {name}\r\n\r\nx"
    )
    answer = answered(raw.encode(), text=text.replace("\0", "") + "\r\nBcc: z@z.example")
    assert set(answer.keys()) <= FIELDS | {"In-Reply-To", "References"}
    assert answer["To"] == "a@b.example"
    assert not answer.is_multipart()


def encoded(text: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


def test_a_subject_that_is_encoded_twice_is_decoded_once() -> None:
    inner = "=?utf-8?q?Hello=0D=0ABcc:_z@z.example=0D=0AX-Evil:_1=0D=0A=0D=0AInjected_body?="
    answer = answered(f"From: a@b.example\r\nSubject: {encoded(inner)}\r\n\r\nx".encode())
    assert answer["Subject"] == f"Re: {inner}"
    assert set(answer.keys()) == FIELDS
    assert answer.get_content() == "Yes.\r\n"


def test_a_name_that_looks_encoded_stays_as_it_is() -> None:
    name = "=?utf-8?q?=0D=0AX-Evil:_1?="
    answer = answered(b"From: a@b.example\r\n\r\nx", sender_name=name)
    (sender,) = answer["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, OWN)
    assert set(answer.keys()) == FIELDS


def test_an_address_that_looks_encoded_is_none() -> None:
    inner = "=?utf-8?q?=0D=0AX-E:_1?="
    assert whom(f"From: {encoded(inner)}@b.example") == "no-address"
    assert whom(f"From: {inner}@b.example") == "no-address"
    with pytest.raises(ValueError, match="addresses alone"):
        answered(b"From: a@b.example\r\n\r\nx", to=[f"{inner}@b.example"])


@pytest.mark.parametrize(
    "name",
    [
        "did!plc!victim@mail.example.org, The Accounting Department of Everything",
        "bob@mail.example <bob@mail.example>" + " and so on" * 10,
        "a, b, c@d.example; (e) <f@g.example>, " * 5,
        "Äußerst lange Namen haben manche Menschen, und nicht nur einen davon",
        "日本語" * 30,
        '"quoted" \\ and more',
        "alice.test",
        "Alice Pleasance Liddell " * 8,
    ],
)
def test_a_name_never_becomes_an_address(name: str) -> None:
    answer = answered(b"From: a@b.example\r\n\r\nx", sender_name=name)
    assert [one.addr_spec for one in answer["From"].addresses] == [OWN]
    # Readers that take it apart before they decode see one address as well. Python's newer reader puts spaces
    # between the encoded words of a long name.
    raw = str(next(value for field, value in answer.raw_items() if field == "From"))
    ((written, address),) = email.utils.getaddresses([raw])
    assert address == OWN
    assert str(make_header(decode_header(written))) == name[:60].rstrip()


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ["a@b.example\r\nBcc: z@z.example"]},
        {"cc": ["a\n@b.example"]},
        {"sender_name": "Alice\r\nBcc: z@z.example"},
        {"message_id": "<a@b>\r\nBcc: z@z.example"},
    ],
)
def test_line_ends_are_refused_wherever_they_come_from(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (email's own have no more of a name)
        answered(b"From: a@b.example\r\n\r\nx", **changes)
