"""Return addresses, and the reports that come back to them."""

import time

import pytest

from webmail.carriers.bounces import bounce_local_part, outcome_in_report, token_of_local_part
from webmail.carriers.outcomes import Deferred, Refused

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


def report(action: str, status: str, diagnostic: str = "smtp; 550 5.1.1 no such user") -> bytes:
    return (
        "From: MAILER-DAEMON@mx.example\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=x\r\n"
        "\r\n--x\r\nContent-Type: text/plain\r\n\r\nIt did not arrive.\r\n"
        "--x\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example\r\n\r\n"
        "Final-Recipient: rfc822; a@mx.example\r\n"
        f"Action: {action}\r\nStatus: {status}\r\nDiagnostic-Code: {diagnostic}\r\n"
        "\r\n--x\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--x--\r\n"
    ).encode()


def test_a_failure_is_a_refusal() -> None:
    outcome = outcome_in_report(report("failed", "5.1.1"))
    assert isinstance(outcome, Refused)
    assert outcome.code == "address-unknown"
    assert "no such user" in outcome.reply


def test_a_delay_is_a_deferral_whatever_its_status() -> None:
    assert isinstance(outcome_in_report(report("delayed", "4.4.1")), Deferred)
    assert isinstance(outcome_in_report(report("delayed", "5.4.1")), Deferred)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: I am on holiday\r\n\r\nuntil Monday\r\n",
        report("delivered", "2.0.0"),
        report("relayed", "2.0.0"),
        report("failed", "nonsense"),
        report("failed", "5.1.1").replace(b"multipart/report", b"multipart/mixed"),
        report("failed", "5.1.1").replace(b"delivery-status\r\n\r\nR", b"x\r\n\r\nR"),
        b"Content-Type: multipart/report\r\n\r\n",
    ],
)
def test_anything_else_says_nothing(raw: bytes) -> None:
    assert outcome_in_report(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n" * 10_000,
        b"Content-Type: multipart/report; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 40_000,
        b"X: y\r\n" * 200_000 + b"Content-Type: multipart/report\r\n\r\n",
        report("failed", "5.1.1") + b"x" * 50_000_000,
    ],
)
def test_large_and_deep_reports_end_soon(raw: bytes) -> None:
    started = time.process_time()
    outcome_in_report(raw)
    assert time.process_time() - started < 1
