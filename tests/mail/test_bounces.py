"""Return addresses, and the reports that come back to them."""

import time

import pytest

from webmail.carriers.bounces import (
    MAX_REPORT,
    Report,
    bounce_local_part,
    report_in_mail,
    token_of_local_part,
    unread_report,
)
from webmail.carriers.outcomes import MAX_REPLY, Deferred, Outcome, Refused
from webmail.carriers.sentences import SENTENCES

SECRET = "a secret of this installation"


@pytest.mark.parametrize("token", ["1", "123456", "9" * 16, "ü" * 8])
def test_a_return_address_stands_for_its_delivery(token: str) -> None:
    local = bounce_local_part(token, SECRET)
    assert token not in local
    assert len(local) <= 64
    assert local == bounce_local_part(token, SECRET)
    assert token_of_local_part(local, SECRET) == token
    assert token_of_local_part(local.upper(), SECRET) == token


@pytest.mark.parametrize("token", ["", "x" * 17])
def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        bounce_local_part(token, SECRET)


def test_return_addresses_can_not_be_made_up() -> None:
    local = bounce_local_part("1", SECRET)
    other = bounce_local_part("1", "another secret")
    changed = local[:-2] + ("a" if local[-2] != "a" else "b") + local[-1]
    for made_up in (other, changed, local[:-1], local + "a", "b+1", "b+", "b+" + "a" * 30, "x" + local):
        assert token_of_local_part(made_up, SECRET) is None


BOB = "did:plc:bobbobbobbobbobbobbobbob"
BOBS_ADDRESS = "did!plc!bobbobbobbobbobbobbobbob@mx.example"
ENVELOPE, OTHER_ENVELOPE = "ab" * 32, "cd" * 32


def group(
    action: str | None = "failed",
    status: str | None = "5.1.1",
    diagnostic: str | None = "smtp; 550 5.1.1 no such user",
    *,
    address: str = "a@mx.example",
    more: str = "",
) -> str:
    """The fields about one recipient."""
    fields = f"Final-Recipient: rfc822; {address}\r\n"
    for name, value in (("Action", action), ("Status", status), ("Diagnostic-Code", diagnostic)):
        fields += f"{name}: {value}\r\n" if value is not None else ""
    return fields + more


def notification(
    *groups: str, returned: str = "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n"
) -> bytes:
    """A report with these groups of fields, and what it returns of the mail."""
    return (
        "From: MAILER-DAEMON@mx.example\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=x\r\n"
        "\r\n--x\r\nContent-Type: text/plain\r\n\r\nIt did not arrive.\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example\r\n\r\n" + "\r\n".join(groups) + f"\r\n--x\r\n{returned}\r\n--x--\r\n"
    ).encode()


def report(action: str, status: str, diagnostic: str = "smtp; 550 5.1.1 no such user") -> bytes:
    return notification(group(action, status, diagnostic))


def outcome_in(raw: bytes, recipient: str | None = None) -> Outcome | None:
    found = report_in_mail(raw, recipient=recipient)
    return found.outcome if found else None


def test_a_failure_is_a_refusal() -> None:
    outcome = outcome_in(report("failed", "5.1.1"))
    assert isinstance(outcome, Refused)
    assert outcome.code == "address-unknown"
    assert "no such user" in outcome.reply


def test_a_delay_is_a_deferral_whatever_its_status() -> None:
    assert isinstance(outcome_in(report("delayed", "4.4.1")), Deferred)
    assert isinstance(outcome_in(report("delayed", "5.4.1")), Deferred)


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        (group(status="5.2.2", diagnostic="smtp; 552 5.2.2 over quota"), Refused, "mailbox-full"),
        (group(status="5.2.2", diagnostic=None), Refused, "mailbox-full"),
        (group(status="5.7.1", diagnostic="smtp; 550 5.7.1 blocked"), Refused, "sender-refused"),
        (group(status="5.4.6", diagnostic="X-Postfix; mail loops back to myself"), Refused, "loop"),
        # A server that gives up after days of a passing fault has failed for good.
        (group(status="4.4.7", diagnostic="smtp; 450 4.2.2 over quota"), Refused, "server-unreachable"),
        (
            group(status="4.4.1", diagnostic="X-Postfix; connect to mx: timed out"),
            Refused,
            "server-unreachable",
        ),
        (group("delayed", "4.2.2", "smtp; 452 4.2.2 over quota"), Deferred, "mailbox-full"),
        (group("delayed", "4.7.1", "smtp; 450 4.7.1 greylisted"), Deferred, "asked-to-wait"),
        (group("delayed", "4.0.0", None), Deferred, "server-trouble"),
        # The more exact of the two names the cause.
        (group(status="5.0.0", diagnostic="smtp; 552 5.2.2 mailbox full"), Refused, "mailbox-full"),
        (group(status="5.0.0", diagnostic="smtp; 550 no such user"), Refused, "address-unknown"),
        (group(status="5.7.0", diagnostic="smtp; 550 by policy"), Refused, "not-accepted"),
        (group(status="5.1.99", diagnostic="smtp; 550 what"), Refused, "address-unknown"),
        (group(status="5.99.1", diagnostic="x; what"), Refused, "not-accepted"),
        # Written as some servers write.
        (group("Failed", "5.1.1 (no such user)"), Refused, "address-unknown"),
        (group("failed (permanent)", "5.1.1"), Refused, "address-unknown"),
        (group(" FAILED ", " 5.01.001 "), Refused, "address-unknown"),
        (
            group(status="5.1.1", diagnostic="smtp;\r\n 550-5.1.1 no\r\n 550 5.1.1 user"),
            Refused,
            "address-unknown",
        ),
        # Fields that are missing, or contradict each other.
        (group(status=None, diagnostic="smtp; 552 5.2.2 full"), Refused, "mailbox-full"),
        (group(status="nonsense", diagnostic="smtp; 550 5.1.1 no such user"), Refused, "address-unknown"),
        (group(status=None, diagnostic=None, more="X: y\r\n"), Refused, "not-accepted"),
        (group(None, "5.2.1"), Refused, "gone"),
        (group(None, "4.2.1", None), Deferred, "gone"),
        (group(status="2.0.0", diagnostic="smtp; 250 2.1.5 ok"), Refused, "not-accepted"),
        (group(status="2.0.0", diagnostic="smtp; 550 5.1.1 no"), Refused, "address-unknown"),
    ],
)
def test_what_a_report_says(fields: str, kind: type, code: str) -> None:
    outcome = outcome_in(notification(fields))
    assert type(outcome) is kind
    assert isinstance(outcome, Refused | Deferred)
    assert outcome.code == code


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: I am on holiday\r\n\r\nuntil Monday\r\n",
        report("delivered", "2.0.0"),
        report("relayed", "2.0.0"),
        report("expanded", "2.0.0"),
        # "Delivered" is believed, as it takes nothing away.
        report("delivered", "5.1.1"),
        report("dropped", "5.1.1"),
        notification(group(None, None)),
        notification(group(None, "2.0.0")),
        notification(),
        report("failed", "5.1.1").replace(b"multipart/report", b"multipart/mixed"),
        report("failed", "5.1.1").replace(b"delivery-status\r\n\r\nR", b"x\r\n\r\nR"),
        b"Content-Type: multipart/report\r\n\r\n",
    ],
)
def test_anything_else_says_nothing(raw: bytes) -> None:
    assert report_in_mail(raw) is None


OURS = {"address": BOBS_ADDRESS}


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        # Whoever else is in the report, what it says of our recipient counts.
        ([group(status="5.2.2"), group(status="5.1.6", **OURS)], "gone"),
        ([group("delivered", "2.0.0"), group(status="5.2.2", **OURS)], "mailbox-full"),
        ([group("failed"), group("delivered", "2.0.0", **OURS)], None),
        (
            [group(address="x@mx", more=f"Original-Recipient: rfc822;{BOBS_ADDRESS}\r\n"), group("relayed")],
            "address-unknown",
        ),
        ([group(address="plc.bobbobbobbobbobbobbobbob@mx.example"), group("relayed")], "address-unknown"),
        # Passed on to several: it failed when it did for all of them.
        ([group("failed"), group("delivered", "2.0.0", address="b@mx.example")], None),
        ([group(status="5.2.2"), group(status="5.2.2", address="b@mx.example")], "mailbox-full"),
    ],
)
def test_a_report_about_several(groups: list[str], code: str | None) -> None:
    outcome = outcome_in(notification(*groups), BOB)
    assert (outcome.code if isinstance(outcome, Refused) else None) == code


def test_while_one_of_several_waits_nothing_has_failed() -> None:
    raw = notification(group("failed"), group("delayed", "4.2.2", None, address="b@mx.example"))
    assert isinstance(outcome_in(raw, BOB), Deferred)


@pytest.mark.parametrize(
    "returned",
    [
        f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{ENVELOPE}@mail.test>\r\n",
        f"Content-Type: message/rfc822\r\n\r\nmessage-id:\r\n <{ENVELOPE}@mail.test>\r\n\r\nbody\r\n",
        f"Content-Type: message/global\r\n\r\nSubject: x\r\nMessage-Id: <{ENVELOPE}@mail.test>\r\n\r\n",
    ],
)
def test_the_returned_mail_names_the_envelope(returned: str) -> None:
    found = report_in_mail(notification(group(), returned=returned))
    assert isinstance(found, Report)
    assert found.envelope_ids == {ENVELOPE}


def test_a_report_that_returns_nothing_names_none() -> None:
    found = report_in_mail(notification(group()))
    assert found
    assert found.envelope_ids == frozenset()
    own_name = notification(group()).replace(b"From:", f"Message-ID: <{OTHER_ENVELOPE}@mx>\r\nFrom:".encode())
    found = report_in_mail(own_name)
    assert found
    assert found.envelope_ids == frozenset()


def test_a_report_with_addresses_in_utf_8_is_read() -> None:
    raw = report("failed", "5.1.1").replace(b"message/delivery-status", b"message/global-delivery-status")
    assert isinstance(outcome_in(raw), Refused)


def test_the_other_servers_words_are_kept_short_and_printable() -> None:
    outcome = outcome_in(notification(group(diagnostic="smtp; 550 <script>\x1b[31m\u202e" + "a" * 5000)))
    assert isinstance(outcome, Refused)
    assert outcome.reply.isprintable()
    assert len(outcome.reply) <= MAX_REPLY
    assert outcome.code in SENTENCES


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n" * 10_000,
        b"Content-Type: multipart/report; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 40_000,
        b"X: y\r\n" * 200_000 + b"Content-Type: multipart/report\r\n\r\n",
        report("failed", "5.1.1") + b"x" * 50_000_000,
        notification("\r\n".join([group()] * 3_000)),
        notification("\r\n" * 120_000),
        notification("\n" * 240_000),
        notification(group(more="A:\r\n" * 80_000)),
        notification(group(diagnostic="smtp; " + "5.1." * 60_000)),
        notification(group(diagnostic="(" * 250_000)),
        notification(group(address="web." + "A" * 250_000 + "@x")),
        notification(group(), returned="message-id: " + "<" * 200_000),
        notification(group(), returned="message-id:" + " \r\n" * 60_000),
    ],
)
def test_large_and_deep_reports_end_soon(raw: bytes) -> None:
    started = time.process_time()
    report_in_mail(raw, recipient=BOB)
    unread_report(raw)
    unread_report(b"From: MAILER-DAEMON@mx.example\r\n" + raw)
    assert time.process_time() - started < 1


QMAIL = (
    b"From: MAILER-DAEMON@mx.example\r\nTo: b+x@mail.test\r\nSubject: failure notice\r\n\r\n"
    b"Hi. This is the qmail-send program at mx.example.\r\n"
    b"I'm afraid I wasn't able to deliver your message to the following addresses.\r\n\r\n"
    b"<bob@mx.example>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n"
    b"--- Below this line is a copy of the message.\r\n\r\n"
    b"Message-ID: <" + ENVELOPE.encode() + b"@mail.test>\r\n\r\nbody\r\n"
)
EXCHANGE = (
    b"From: Microsoft Outlook\r\n <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@x.example>\r\n"
    b"Auto-Submitted: auto-replied\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/html\r\n\r\n<b>no</b>\r\n"
    b"--x\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Ihre Nachricht wurde nicht =FCbermittelt.\r\n--x--\r\n"
)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (QMAIL, "Hi. This is the qmail-send program at mx.example. I'm afraid"),
        (EXCHANGE, "Ihre Nachricht wurde nicht übermittelt."),
        (b"X-Failed-Recipients: bob@mx.example\r\nFrom: Mail\r\n\r\nNo such user\r\n", "No such user"),
        (b"From: Postmaster <postmaster@mx.example>\r\n\r\nNo such user\r\n", "No such user"),
        # In the form of RFC 3464, without what it has to say.
        (notification(group(None, None)), "It did not arrive."),
        (report("dropped", "5.1.1"), "It did not arrive."),
        (notification(), "It did not arrive."),
        (
            report("failed", "5.1.1").replace(b"message/delivery-status", b"text/x"),
            "It did not arrive.",
        ),
        (b"From: mailer-daemon@mx\r\nContent-Type: text/plain; charset=none\r\n\r\nNo\xff", "Noÿ"),
        (b"From: mailer-daemon@mx\r\nContent-Type: text/plain; charset=rot13\r\n\r\nNo", "No"),
        (b"From: mailer-daemon@mx\r\n\r\n" + b"\r\n" * 3000 + b"Deep", "Deep"),
        (b"From: mailer-daemon@mx\r\n\r\n", ""),
        (b"From: mailer-daemon@mx", ""),
    ],
)
def test_a_report_that_says_nothing_is_kept_by_its_beginning(raw: bytes, words: str) -> None:
    assert report_in_mail(raw) is None
    found = unread_report(raw)
    assert found is not None
    assert found.words.startswith(words)
    assert found.words == "" or words


@pytest.mark.parametrize(
    "parameter",
    [
        b"boundary*=idna''ab",
        b"boundary*=undefined''ab",
        b"boundary*=x; boundary*0=y",
        b"boundary*" + b"9" * 5000 + b"=x",
    ],
    ids=["idna", "undefined", "numbered and not", "a long number"],
)
def test_a_report_whose_parts_cannot_be_told_apart_is_kept_by_its_beginning(parameter: bytes) -> None:
    raw = (
        b"From: mailer-daemon@mx\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n "
        + parameter
        + b"\r\n\r\nNo such user\r\n"
    )
    assert report_in_mail(raw) is None
    found = unread_report(raw)
    assert found is not None
    assert found.words == "No such user"


@pytest.mark.parametrize("charset", [b"charset=undefined", b"charset=idna", b"charset*=utf-8%00''a%00b"])
def test_words_in_no_charset_are_read_as_they_can_be(charset: bytes) -> None:
    raw = b"From: mailer-daemon@mx\r\nContent-Type: text/plain; " + charset + b"\r\n\r\nNo such user\r\n"
    found = unread_report(raw)
    assert found is not None
    assert found.words == "No such user"


def test_the_words_of_an_unread_report_are_few_and_printable_and_it_may_name_its_envelope() -> None:
    found = unread_report(QMAIL + b"x" * 100_000)
    assert found
    assert len(found.words) <= MAX_REPLY
    assert found.envelope_ids == {ENVELOPE}
    hostile = unread_report("From: mailer-daemon@mx\r\n\r\na\x1b[31m\u202eb".encode())
    assert hostile
    assert hostile.words == "a[31mb"


@pytest.mark.parametrize(
    "raw",
    [
        # What a person's program answers by itself, or they themselves.
        b"From: bob@mx.example\r\nAuto-Submitted: auto-replied\r\n\r\nI am on holiday\r\n",
        b"From: bob@mx.example\r\nX-Note: from: mailer-daemon\r\n\r\nFrom: mailer-daemon@mx\r\n",
        b"",
        # That it arrived, or was read.
        report("delivered", "2.0.0"),
        notification(group(None, "2.0.0")),
        notification(group("failed"), group("relayed", "2.0.0")),
        b"From: postmaster@mx.example\r\nContent-Type: multipart/report;\r\n"
        b" report-type=disposition-notification; boundary=x\r\n\r\n--x--\r\n",
        b"From: postmaster@mx.example\r\nContent-Type: multipart/report;"
        b' report-type="feedback-report"; boundary=x\r\n\r\n--x--\r\n',
    ],
)
def test_what_no_mail_server_reports_is_no_unread_report(raw: bytes) -> None:
    assert unread_report(raw) is None


def test_a_report_that_returns_a_large_mail_is_read() -> None:
    returned = f"Content-Type: message/rfc822\r\n\r\nMessage-ID: <{ENVELOPE}@m>\r\n\r\n" + "A" * 76 + "\r\n"
    raw = notification(group(), returned=returned + ("B" * 76 + "\r\n") * (MAX_REPORT // 70))
    found = report_in_mail(raw)
    assert found
    assert found.envelope_ids == {ENVELOPE}
