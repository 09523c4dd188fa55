"""Envelopes by HTTPS."""

import base64
import json
import logging
from unittest.mock import patch

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import Account
from webmail.ingress_quota import redis_quota
from webmail.mailbox import INBOX, open_mailbox
from webmail.mailbox.envelope_mail import mail_with_envelope

pytestmark = pytest.mark.usefixtures("in_maildir")


@pytest.fixture(autouse=True)
def _no_worker() -> object:
    with patch("webmail.queues.give") as enqueue:
        yield enqueue


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True)


def inbox_of(did: str) -> list[bytes]:
    with open_mailbox(did) as mailbox:
        return [stored.raw for stored in mailbox.fetch(INBOX, mailbox.uids_after(INBOX, 0)).values()]


def body_of(envelope: bytes) -> str:
    return json.dumps({"envelope": base64.b64encode(envelope).decode()})


def test_an_envelope_is_accepted_from_anybody(client: Client, account: Account, envelope: bytes) -> None:
    url = f"/inbox/{account.did}"
    first = client.post(url, body_of(envelope), content_type="application/json")
    second = client.post(url, body_of(envelope), content_type="text/plain;charset=utf-8")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert inbox_of(account.did) == [mail_with_envelope(envelope)]
    assert not first.cookies


def test_base64_without_padding_is_read(client: Client, account: Account) -> None:
    for size in (1, 2, 3, 4):
        text = base64.b64encode(b"\x85" * size).decode().rstrip("=")
        answer = client.post(
            f"/inbox/{account.did}",
            json.dumps({"envelope": text, "more": 1}),
            content_type="application/json",
        )
        assert answer.status_code == 200
    assert len(inbox_of(account.did)) == 4


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not-an-envelope"),
        (b"{", 400, "not-an-envelope"),
        (b"[]", 400, "not-an-envelope"),
        (b"\xff\xfe", 400, "not-an-envelope"),
        (b"{}", 400, "not-an-envelope"),
        (b'{"envelope": null}', 400, "not-an-envelope"),
        (b'{"envelope": 5}', 400, "not-an-envelope"),
        (b'{"envelope": ""}', 400, "not-an-envelope"),
        (b'{"envelope": "hQ=="}x', 400, "not-an-envelope"),
        (b'{"envelope": "h Q=="}', 400, "not-an-envelope"),
        (b'{"envelope": "hQ==\\n"}', 400, "not-an-envelope"),
        (b'{"envelope": "hQ-_"}', 400, "not-an-envelope"),
        (b'{"envelope": "\xc3\xa9"}', 400, "not-an-envelope"),
        (b'{"envelope": "aGVsbG8="}', 400, "not-an-envelope"),
        (b"[" * 60_000, 400, "not-an-envelope"),
        (b'{"a":' * 20_000, 400, "not-an-envelope"),
        (b'{"envelope": ' + b"9" * 60_000 + b"}", 400, "not-an-envelope"),
        (body_of(b"\x85" + bytes(66_000)).encode(), 413, "too-large"),
        (b" " * 200_000, 413, "too-large"),
    ],
)
def test_other_bodies_are_refused(
    client: Client, account: Account, body: bytes, status: int, code: str
) -> None:
    answer = client.post(f"/inbox/{account.did}", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert inbox_of(account.did) == []


@pytest.mark.parametrize(
    "unknown",
    [
        "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa",
        "did:web:nobody.test",
        "nobody",
        "did:plc:..",
        "%00",
        "x%0d%0ay",
        "did:web:" + "a" * 3000,
    ],
)
def test_unknown_recipients_are_not_found(
    client: Client, account: Account, envelope: bytes, unknown: str
) -> None:
    answer = client.post(f"/inbox/{unknown}", body_of(envelope), content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown-recipient")


def test_a_web_did_with_a_port_is_found(client: Client, transactional_db: None, envelope: bytes) -> None:
    Account.objects.create(did="did:web:localhost%3A8443", handle="alice.test", pds_url="http://localhost")
    for written in ("did:web:localhost%253A8443", "did:web:localhost%3A8443"):
        answer = client.post(f"/inbox/{written}", body_of(envelope), content_type="application/json")
        assert answer.status_code == 200
    assert len(inbox_of("did:web:localhost%3A8443")) == 1


def test_other_methods_are_not_allowed(client: Client, account: Account) -> None:
    for method in (client.get, client.put, client.delete, client.options):
        answer = method(f"/inbox/{account.did}")
        assert answer.status_code == 405
        assert answer["Allow"] == "POST"


def test_a_full_hour_says_when_to_come_back(
    client: Client, account: Account, settings: Settings, redis_server: str
) -> None:
    settings.INGRESS_ENVELOPES_PER_HOUR = 2
    redis_quota.cache_clear()
    try:
        answers = [
            client.post(f"/inbox/{account.did}", body_of(b"\x85%d" % n), content_type="application/json")
            for n in range(3)
        ]
    finally:
        redis_quota.cache_clear()
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2]["Retry-After"]) <= 3600
    assert len(inbox_of(account.did)) == 2


def test_a_mailbox_that_is_away_is_503(
    client: Client, account: Account, envelope: bytes, settings: Settings
) -> None:
    settings.MAILBOX_URL = "maildir:///dev/null/nothing"
    answer = client.post(f"/inbox/{account.did}", body_of(envelope), content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (503, "mailbox-unavailable")
    assert answer["Retry-After"]


def test_the_sender_leaves_no_trace(
    client: Client, account: Account, envelope: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = client.post(
        f"/inbox/{account.did}",
        body_of(envelope),
        content_type="application/json",
        REMOTE_ADDR="203.0.113.77",
        HTTP_X_FORWARDED_FOR="203.0.113.78",
        HTTP_USER_AGENT="sender/1",
    )
    assert answer.status_code == 200
    seen = caplog.text + repr(inbox_of(account.did))
    assert "203.0.113" not in seen
    assert "sender/1" not in seen
    assert base64.b64encode(envelope).decode()[:40] not in caplog.text
