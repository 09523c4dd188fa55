"""How much of a request the web process takes in before it says no."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from pytest_django import Settings

from accounts import sessions
from accounts.models import Account, OAuthSession
from webmail import asgi, uploads
from webmail.asgi import MAX_BODY, application

PART = bytes(64 * 1024)


def post(path: str, parts: int, *headers: tuple[bytes, bytes]) -> tuple[int, int]:
    """Posts so many parts without saying how many; the status, and how many parts were taken."""
    status, taken, _headers, _body = answered(path, parts, *headers)
    return status, taken


def answered(path: str, parts: int, *more: tuple[bytes, bytes]) -> tuple[int, int, dict[bytes, bytes], bytes]:
    """As `post`, with the headers and the body of the answer."""
    taken = 0
    sent: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        if taken == parts:
            await asyncio.sleep(10)
        taken += 1
        return {"type": "http.request", "body": PART, "more_body": taken < parts}

    async def send(event: Mapping[str, Any]) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), *more],
        "query_string": b"",
        "scheme": "http",
    }
    # In a thread of its own: the browser tests' event loop runs in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, application(scope, receive, send)).result()
    start = next(event for event in sent if event["type"] == "http.response.start")
    body = b"".join(event["body"] for event in sent if event["type"] == "http.response.body")
    return start["status"], taken, dict(start["headers"]), body


@pytest.mark.parametrize("path", ["/theme/", "/inbox/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "/nowhere/"])
def test_a_large_body_is_not_taken_in(path: str) -> None:
    status, taken = post(path, 200)
    assert status == 413
    assert taken <= MAX_BODY // len(PART) + 1


def test_who_went_to_a_page_gets_one_in_their_language_and_scripts_get_a_line() -> None:
    goes = (b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")
    status, _taken, headers, page = answered("/theme/", 200, goes, (b"accept-language", b"de"))
    assert (status, headers[b"connection"]) == (413, b"close")
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert b"default-src 'none'" in headers[b"content-security-policy"]
    assert '<html lang="de"' in page.decode()
    assert "1,0\xa0MB" in page.decode()
    assert "Geh zurück" in page.decode()
    for asks in ([], [(b"accept", b"application/json")], [goes, (b"hx-request", b"true")]):
        _status, _taken, headers, line = answered("/theme/", 200, *asks)
        assert (headers[b"content-type"], line) == (b"text/plain", b"That is too large.\n")


@pytest.mark.parametrize(
    "path", ["/files/", "/new/", "/c/01/send/", "/c/01/people/picture/", "/devices/import/"]
)
def test_who_is_signed_out_is_told_that_where_those_who_are_not_may_send_as_much(path: str) -> None:
    def length(octets: int) -> tuple[bytes, bytes]:
        return b"content-length", str(octets).encode()

    goes = (b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")
    most = uploads.longest_at(path)
    status, taken, headers, page = answered(path, 200, length(most), goes, (b"accept-language", b"de"))
    assert (status, taken, headers[b"connection"]) == (401, 0, b"close")
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert "Du bist abgemeldet" in page.decode()
    status, _taken, headers, told = answered(path, 200, length(most), (b"accept", b"application/json"))
    assert (status, headers[b"content-type"]) == (401, b"application/json")
    assert json.loads(told)["code"] == "signed-out"
    status, _taken, headers, line = answered(path, 200, length(most), goes, (b"hx-request", b"true"))
    assert (status, headers[b"content-type"], line) == (401, b"text/plain", b"You are signed out.\n")
    # Nobody may send more. A body that does not say how long it is may be one of those.
    assert post(path, 200, length(most + 1)) == (413, 0)
    assert post(path, 200)[0] == 413


def test_nothing_is_taken_of_a_body_that_says_that_it_is_too_long() -> None:
    assert post("/theme/", 200, (b"content-length", str(200 * len(PART)).encode())) == (413, 0)


def test_a_bounded_body_gets_the_answer_of_its_page() -> None:
    assert post("/inbox/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", 1) == (400, 1)


def test_one_accounts_bodies_take_no_more_than_its_share(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.SPOOL_BYTES = 3 * 1024 * 1024
    most = {"/files/": (MAX_BODY, 1), "/new/": (MAX_BODY, 2)}

    async def largest_body(scope: Mapping[str, Any], usual: int) -> tuple[int, int | None]:
        return most[scope["path"]]

    monkeypatch.setattr(asgi, "largest_body", largest_body)
    answers: dict[str, int] = {}

    async def posted(name: str, path: str, parts: int, end: asyncio.Event) -> None:
        taken = 0

        async def receive() -> dict[str, Any]:
            nonlocal taken
            if taken == parts:
                await end.wait()
                return {"type": "http.disconnect"}
            taken += 1
            return {"type": "http.request", "body": PART, "more_body": True}

        async def send(event: Mapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                answers[name] = event["status"]

        scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
        await asgi.application(scope, receive, send)

    async def run() -> None:
        over, at_once = asyncio.Event(), asyncio.Event()
        at_once.set()
        slow = asyncio.create_task(posted("slow", "/files/", 10, over))
        while asgi.application._on_their_way[1] < 10 * len(PART):
            await asyncio.sleep(0.01)
        await posted("too much", "/files/", 10, at_once)
        await posted("of somebody else", "/new/", 10, at_once)
        over.set()
        await slow
        await posted("later", "/files/", 10, at_once)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result(30)
    # The others ended before there was anything to answer.
    assert answers == {"too much": 503}
    assert not asgi.application._on_their_way


def test_nobody_is_looked_up_for_a_body_that_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def account_behind(cookies: str) -> int:
        asked.append(cookies)
        return 1

    monkeypatch.setattr(uploads, "account_behind", account_behind)

    def largest(*lengths: bytes) -> tuple[int, int | None]:
        headers = [(b"cookie", b"session=x"), *((b"content-length", length) for length in lengths)]
        scope = {"path": "/files/", "method": "POST", "headers": headers}
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, uploads.largest_body(scope, MAX_BODY)).result()

    assert largest(str(MAX_BODY).encode()) == (0, None)
    assert asked == []
    for lengths in ([str(MAX_BODY + 1).encode()], [], [b"x"], [b"1", b"2"], [b"9" * 30]):
        most, account = largest(*lengths)
        assert (most > MAX_BODY, account) == (True, 1)
    assert len(asked) == 5


@pytest.mark.django_db(transaction=True)
def test_only_who_showed_the_passkey_sends_long_bodies_where_it_is_required() -> None:
    account = Account.objects.create(
        did="did:plc:uploader", handle="uploader.test", pds_url="http://localhost:1"
    )
    session = OAuthSession.objects.create(
        account=account,
        issuer="https://pds.test",
        scope="atproto",
        sealed_access_token=b"",
        sealed_refresh_token=b"",
        sealed_dpop_key=b"",
        access_expires_at=timezone.now(),
        created_at=timezone.now(),
    )
    store = SessionStore()
    store[sessions.OAUTH_SESSION_KEY] = session.pk
    store.save()

    def behind() -> int | None:
        return sessions.account_behind(f"{django_settings.SESSION_COOKIE_NAME}={store.session_key}")

    assert behind() == account.pk
    Account.objects.filter(pk=account.pk).update(passkey_required=True)
    assert behind() is None
    store[sessions.PASSKEY_KEY] = session.pk
    store.save()
    assert behind() == account.pk
