"""How replies of other servers are read."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from webmail.carriers.outcomes import (
    Accepted,
    Deferred,
    Refused,
    outcome_of_http,
    outcome_of_report,
    outcome_of_smtp,
)
from webmail.carriers.sentences import SENTENCES, sentence
from webmail.carriers.status_codes import MEANINGS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "reply", "kind", "code"),
    [
        (550, "5.1.1 no such user", Refused, "address-unknown"),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound", Refused, "server-unknown"),
        (550, "5.7.1 relaying denied", Refused, "sender-refused"),
        (550, "5.7.26 unauthenticated mail", Refused, "sender-refused"),
        (550, "no such user", Refused, "address-unknown"),
        (551, "user not local", Refused, "gone"),
        (550, "5.1.6 moved, no forwarding address", Refused, "gone"),
        (550, "5.2.1 mailbox disabled", Refused, "gone"),
        (552, "5.2.2 mailbox full", Refused, "mailbox-full"),
        (452, "4.2.2 mailbox full", Deferred, "mailbox-full"),
        (552, "5.3.4 message size exceeds fixed limit", Refused, "too-large"),
        (552, "5.2.3 too long", Refused, "too-large"),
        (421, "4.7.28 unusual rate", Deferred, "rate-limited"),
        (450, "4.2.0 greylisted", Deferred, "server-trouble"),
        (451, "4.3.0 trouble", Deferred, "server-trouble"),
        (452, "4.5.3 too many recipients", Deferred, "rate-limited"),
        (421, "bye", Deferred, "server-trouble"),
        (530, "5.7.0 authentication required", Refused, "not-accepted"),
        (535, "no", Refused, "authentication-required"),
        (501, "syntax", Refused, "not-understood"),
        (554, "5.6.0 not an envelope", Refused, "not-accepted"),
        (554, "", Refused, "not-accepted"),
        (556, "5.1.10 null MX", Refused, "server-unknown"),
        (599, "?", Refused, "not-accepted"),
        (-1, "connection closed", Deferred, "server-trouble"),
        (354, "go on", Deferred, "server-trouble"),
        # The digits of the reply decide, whatever the text says.
        (450, "5.1.1 no such user", Deferred, "address-unknown"),
        (550, "see 10.5.1.1 for help", Refused, "address-unknown"),
    ],
)
def test_smtp_replies(status: int, reply: str, kind: type, code: str) -> None:
    outcome = outcome_of_smtp(status, reply)
    assert type(outcome) is kind
    assert not isinstance(outcome, Accepted)
    assert outcome.code == code
    assert str(status) in outcome.reply


def test_an_accepted_reply_says_how_it_went() -> None:
    outcome = outcome_of_smtp(250, "2.0.0 queued as 1", security="TLSv1.3", relayed=True)
    assert outcome == Accepted("250 2.0.0 queued as 1", "TLSv1.3", relayed=True)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, Refused, "not-understood"),
        (401, Refused, "authentication-required"),
        (403, Refused, "not-accepted"),
        (404, Refused, "address-unknown"),
        (405, Refused, "bad-address"),
        (410, Refused, "gone"),
        (413, Refused, "too-large"),
        (418, Refused, "not-accepted"),
        (408, Deferred, "server-unreachable"),
        (425, Deferred, "server-trouble"),
        (429, Deferred, "rate-limited"),
        (500, Deferred, "server-trouble"),
        (502, Deferred, "server-trouble"),
        (503, Deferred, "server-trouble"),
        (507, Deferred, "mailbox-full"),
        (301, Refused, "not-accepted"),
        (302, Refused, "not-accepted"),
    ],
)
def test_http_answers(status: int, kind: type, code: str) -> None:
    outcome = outcome_of_http(status, "words", now=NOW)
    assert type(outcome) is kind
    assert not isinstance(outcome, Accepted)
    assert outcome.code == code


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_accepted(status: int) -> None:
    assert isinstance(outcome_of_http(status, "", now=NOW), Accepted)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("120", timedelta(seconds=120)),
        ("0", None),
        ("\x1d120", timedelta(seconds=120)),
        ("\u0661", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 30, None),
        ("999999999", timedelta(days=1)),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), timedelta(minutes=5)),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), None),
        ("Fri, 31 Feb 2026 25:61:61 GMT", None),
        (f"Fri, 20 Nov {'2' * 30} 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_honoured_within_reason(header: str | None, wait: timedelta | None) -> None:
    outcome = outcome_of_http(429, "", retry_after=header, now=NOW)
    assert isinstance(outcome, Deferred)
    assert outcome.retry_after == wait


def test_a_report_is_read_like_a_reply() -> None:
    failed = outcome_of_report(failed=True, status="5.1.1", diagnostic="550 no")
    assert failed == Refused("address-unknown", "5.1.1 550 no")
    delayed = outcome_of_report(failed=False, status="4.4.7", diagnostic="expired")
    assert delayed == Deferred("server-unreachable", "4.4.7 expired")


#: IANA's "SMTP Enhanced Status Codes": how many details are registered for each subject, 0 included.
REGISTERED = {0: 1, 1: 11, 2: 5, 3: 7, 4: 8, 5: 7, 6: 11, 7: 31}


def test_every_registered_status_has_a_sentence_for_good_and_for_now() -> None:
    registered = {f"{subject}.{detail}" for subject, count in REGISTERED.items() for detail in range(count)}
    assert set(MEANINGS) == registered
    for name in registered:
        for_good = outcome_of_smtp(550, f"5.{name} words")
        for_now = outcome_of_smtp(450, f"4.{name} words")
        assert isinstance(for_good, Refused)
        assert isinstance(for_now, Deferred)
        assert {for_good.code, for_now.code} <= set(SENTENCES)


@pytest.mark.parametrize("status", ["5.1.200", "5.7.999", "5.9.1", "5.0.0"])
def test_what_is_not_registered_still_has_a_sentence(status: str) -> None:
    outcome = outcome_of_report(failed=True, status=status, diagnostic="")
    assert isinstance(outcome, Refused)
    assert outcome.code in SENTENCES


def test_a_reply_is_kept_short_and_printable() -> None:
    outcome = outcome_of_smtp(550, "a\r\nb\x1b[31m\u202ec\0" + "d" * 5000)
    assert isinstance(outcome, Refused)
    assert outcome.reply.startswith("550 a b[31mcd")
    assert len(outcome.reply) < 600


def test_every_code_has_a_sentence() -> None:
    codes = {
        outcome.code
        for status in range(300, 600)
        for outcome in (outcome_of_http(status, "", now=NOW), outcome_of_smtp(status, ""))
        if not isinstance(outcome, Accepted)
    }
    assert codes <= set(SENTENCES)
    for text in SENTENCES.values():
        assert str(text.cause).endswith(".")
        assert str(text.cause)[0].islower()
        assert str(text.advice).endswith(".")
    assert sentence("never-heard-of") in SENTENCES.values()
