"""Whole mails by SMTP, at servers that are slow, that hang up, and that say next to nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.services.smtp_sink import SmtpSink
from webmail.carriers import Accepted, Deferred, Refused, Uncertain, smtp, smtp_connection
from webmail.carriers.smtp import deliver_mail
from webmail.carriers.smtp_connection import Server

MAIL = b"From: a@mail.test\r\nSubject: x\r\n\r\n.\r\n..\r\n.one\r\nFrom here\r\n"
TO = "b@b.example"


@pytest.fixture
def first() -> Iterator[SmtpSink]:
    with SmtpSink() as running:
        yield running


@pytest.fixture
def second() -> Iterator[SmtpSink]:
    with SmtpSink() as running:
        yield running


@pytest.fixture(autouse=True)
def servers(settings: Settings, monkeypatch: pytest.MonkeyPatch, first: SmtpSink, second: SmtpSink) -> None:
    """Two servers of one domain."""
    settings.SMTP_RELAY_URL = ""
    found = [Server("127.0.0.1", each.port, guarded=False) for each in (first, second)]
    monkeypatch.setattr(smtp, "servers_of", lambda *_: found)


def test_a_mail_arrives_as_it_was_given(first: SmtpSink, second: SmtpSink) -> None:
    assert isinstance(deliver_mail(MAIL, TO, bounce_token="m1.1"), Accepted)
    (mail,) = first.mails
    assert mail.raw == MAIL
    assert second.mails == []


def test_a_mail_beyond_ascii_goes_only_where_that_is_taken(
    first: SmtpSink, second: SmtpSink, servers: None
) -> None:
    wide = MAIL.replace(b"Subject: x", "To: jürgen@b.example\r\nSubject: x".encode())
    outcome = deliver_mail(wide, "jürgen@b.example", bounce_token="m1.1")
    assert isinstance(outcome, Accepted), outcome
    (mail,) = first.mails
    assert (mail.raw, mail.recipients) == (wide, ["jürgen@b.example"])
    assert mail.sender.isascii()
    for address in (
        "jürgen@bücher.example",
        "jür gen@b.example",
        "jür\u202egen@b.example",
        "ü" * 33 + "@b.example",
    ):
        refused = deliver_mail(wide, address, bounce_token="m1.1")
        assert isinstance(refused, Refused), address
        assert refused.code == "bad-address"
    assert (len(first.mails), second.mails) == (1, [])


def test_a_server_that_offers_no_utf8_gets_no_such_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpSink(takes_utf8=False) as older:
        monkeypatch.setattr(smtp, "servers_of", lambda *_: [Server("127.0.0.1", older.port, guarded=False)])
        outcome = deliver_mail(MAIL, "jürgen@b.example", bounce_token="m1.1")
        assert isinstance(outcome, Refused)
        assert outcome.code == "no-utf8"
        assert isinstance(deliver_mail(MAIL, TO, bounce_token="m1.1"), Accepted)
        assert [mail.recipients for mail in older.mails] == [[TO]]


def test_a_server_may_take_longer_to_take_a_mail_than_to_answer_anything_else(
    first: SmtpSink, second: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_connection, "REPLY_SECONDS", 0.5)
    first.answers_after_s = 1.5
    assert isinstance(deliver_mail(MAIL, TO, bounce_token="m1.1"), Accepted)
    assert (len(first.mails), second.mails) == (1, [])
    assert smtp.FINAL_REPLY_SECONDS == 600
    assert smtp.BEFORE_DOT_SECONDS + smtp.FINAL_REPLY_SECONDS < smtp.LONGEST_MAIL_SECONDS


def test_a_mail_whose_reply_does_not_come_goes_to_no_other_server(
    first: SmtpSink, second: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "FINAL_REPLY_SECONDS", 0.3)
    first.answers_after_s = 2
    outcome = deliver_mail(MAIL, TO, bounce_token="m1.1")
    assert isinstance(outcome, Uncertain)
    assert outcome.code == "perhaps-arrived"
    assert (len(first.mails), second.mails) == (1, [])


@pytest.mark.parametrize("words", ["", "so what", "354 go on"])
def test_a_mail_after_which_the_server_is_gone_or_confused_goes_to_no_other_server(
    first: SmtpSink, second: SmtpSink, words: str
) -> None:
    first.hangs_up, first.answer = not words, words or "250 kept"
    assert isinstance(deliver_mail(MAIL, TO, bounce_token="m1.1"), Uncertain)
    assert second.mails == []


def test_a_mail_that_a_server_refuses_for_now_goes_to_the_next(first: SmtpSink, second: SmtpSink) -> None:
    first.answer = "451 4.3.0 not now"
    assert isinstance(deliver_mail(MAIL, TO, bounce_token="m1.1"), Accepted)
    assert (first.mails, len(second.mails)) == ([], 1)


@pytest.mark.parametrize("is_relay", [False, True])
def test_a_server_whose_name_nobody_answers_for_is_left_for_the_next(
    monkeypatch: pytest.MonkeyPatch, second: SmtpSink, is_relay: bool
) -> None:
    """The fault is a resolver that hangs, which the system's own does for a minute and more."""
    monkeypatch.setattr(smtp_connection, "LOOKUP_SECONDS", 0.3)
    answers, whole = threading.Event(), socket.getaddrinfo

    def resolve(host: str, *more: Any, **others: Any) -> Any:
        if host == "slow.example":
            answers.wait(20)
        return whole("127.0.0.1" if host == "slow.example" else host, *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    slow = Server("slow.example", second.port, guarded=not is_relay, relay=is_relay)
    found = [slow, Server("127.0.0.1", second.port, guarded=False)]
    monkeypatch.setattr(smtp, "servers_of", lambda *_: found)
    began = time.monotonic()
    try:
        outcome = deliver_mail(MAIL, TO, bounce_token="m1.1")
        assert time.monotonic() - began < 5
    finally:
        answers.set()
    assert isinstance(outcome, Accepted)
    assert len(second.mails) == 1


def test_a_server_with_very_many_addresses_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes its time to answer nothing: no network here has so many such hosts."""
    tried: list[str] = []

    def connect(address: tuple[str, int], seconds: float) -> socket.socket:
        tried.append(address[0])
        time.sleep(min(seconds, 0.1))
        raise TimeoutError("no answer")

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"8.8.8.{n}", 25)) for n in range(200)]
    monkeypatch.setattr(smtp_connection, "ALL_ADDRESSES_SECONDS", 0.5)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(smtp, "servers_of", lambda *_: [Server("many.example", 25)])
    assert isinstance(deliver_mail(MAIL, TO, bounce_token="m1.1"), Deferred)
    assert 1 < len(tried) < 10


@pytest.mark.parametrize("words", [b"2", b"220-more\r\n"])
def test_a_server_that_never_comes_to_an_end_is_left(monkeypatch: pytest.MonkeyPatch, words: bytes) -> None:
    monkeypatch.setattr(smtp, "BEFORE_DOT_SECONDS", 1.0)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            with suppress(OSError):
                connection, _from = listening.accept()
                while not over.wait(0.1):
                    connection.sendall(words)

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        server = Server("127.0.0.1", listening.getsockname()[1], guarded=False)
        monkeypatch.setattr(smtp, "servers_of", lambda *_: [server])
        began = time.monotonic()
        outcome = deliver_mail(MAIL, TO, bounce_token="m1.1")
        over.set()
        dripping.join(5)
    assert isinstance(outcome, Deferred)
    assert time.monotonic() - began < 10
