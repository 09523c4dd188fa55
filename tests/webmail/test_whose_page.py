"""Pages of somebody that are still open in a browser in which somebody else is signed in by now."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Account
from tests.services.browser_sessions import cookies_of_new_browser
from tests.webmail.installation import new_account
from webmail.models import Draft

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agent_process", "redis_server")]

JSON = {"Accept": "application/json"}


@pytest.fixture
def alice() -> Account:
    return new_account("alice")


@pytest.fixture
def bob() -> Account:
    return new_account("bob")


def sign_in(client: Client, account: Account) -> None:
    client.cookies.load(cookies_of_new_browser(account))


def browser(account: Account) -> Client:
    made = Client(enforce_csrf_checks=True)
    sign_in(made, account)
    return made


def token_of(html: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
    assert found
    return found[1]


def open_page(client: Client) -> str:
    """Opens a page; its token."""
    return token_of(client.get("/new/").content.decode())


def keep(client: Client, token: str, **headers: str) -> int:
    """As static/drafts.js does."""
    fields = {"text": "Half a thought", "draft": uuid4().hex, "writer": uuid4().hex, "revision": "0"}
    answer = client.post("/new/draft/", fields, headers={**JSON, "X-CSRFToken": token, **headers})
    return answer.status_code


def test_what_somebody_was_writing_is_not_kept_for_somebody_else(alice: Account, bob: Account) -> None:
    client = browser(alice)
    of_alice = open_page(client)
    assert keep(client, of_alice) == 200
    sign_in(client, bob)
    assert keep(client, of_alice) == 401
    of_bob = open_page(client)
    assert [keep(client, each) for each in (of_alice, of_bob)] == [401, 200]
    assert sorted(Draft.objects.values_list("account__handle", flat=True)) == ["alice.test", "bob.test"]
    # An answer that was on its way brings back a cookie that is no other one.
    client.cookies["csrf"] = of_alice
    assert [keep(client, each) for each in (of_alice, of_bob)] == [401, 200]
    sign_in(client, alice)
    assert [keep(client, each) for each in (of_alice, of_bob)] == [200, 401]


def test_pages_of_whoever_signs_in_again_go_on(alice: Account) -> None:
    client = browser(alice)
    before = open_page(client)
    client.post("/sign-out/", {"csrfmiddlewaretoken": before})
    assert keep(client, before) == 401
    client.get("/sign-in/")
    sign_in(client, alice)
    assert [keep(client, each) for each in (before, open_page(client), before)] == [200] * 3


def test_without_script_it_is_shown_again_and_goes_out_once_its_writer_is_back(
    alice: Account, bob: Account
) -> None:
    client = browser(alice)
    sent = {"text": "Half a thought", "token": str(uuid4()), "csrfmiddlewaretoken": open_page(client)}
    sign_in(client, bob)
    open_page(client)
    shown = client.post("/new/", sent)
    assert shown.status_code == 401
    assert "Half a thought" in shown.content.decode()
    again = {**sent, "csrfmiddlewaretoken": token_of(shown.content.decode())}
    assert client.post("/new/", again).status_code == 401
    assert client.get("/undo-send/").status_code == 200
    sign_in(client, alice)
    assert client.post("/new/", again).status_code not in (401, 403)


def test_it_signs_nobody_else_out(alice: Account, bob: Account) -> None:
    client = browser(alice)
    of_alice = open_page(client)
    sign_in(client, bob)
    answer = client.post("/sign-out/", {"csrfmiddlewaretoken": of_alice})
    assert answer.headers["Location"] == "/sign-in/"
    assert client.get("/undo-send/").status_code == 200
    assert client.post("/sign-out/", {"csrfmiddlewaretoken": open_page(client)}).status_code == 302
    assert client.get("/undo-send/").status_code == 302


def test_a_page_of_signing_in_from_before_a_sign_in_still_takes_a_handle(alice: Account) -> None:
    client = Client(enforce_csrf_checks=True)
    before = token_of(client.get("/sign-in/").content.decode())
    sign_in(client, alice)
    open_page(client)
    answer = client.post("/sign-in/", {"handle": " ", "csrfmiddlewaretoken": before})
    assert "Type your handle first" in answer.content.decode()


def test_its_stream_says_that_it_is_signed_out(alice: Account, bob: Account) -> None:
    client = browser(alice)
    address = re.search(r'data-events="([^"]+)"', client.get("/new/").content.decode())
    assert address
    sign_in(client, bob)
    assert client.get(address[1]).content == b"event: signed-out\ndata: {}\n\n"
    # Its sign-in ended while it was not connected.
    client.cookies.pop("session")
    assert client.get(address[1]).content == b"event: signed-out\ndata: {}\n\n"
    assert client.get("/events/").status_code == 204


def test_tokens_of_other_browsers_and_none_are_refused(alice: Account) -> None:
    client = browser(alice)
    own, elses = open_page(client), open_page(browser(alice))
    for token in ("", "x", elses, own[:-1], f"{own[:-1]}!", "ä" * 64):
        assert keep(client, token) == 403
    assert keep(client, own, Origin="https://elsewhere.example") == 403
    del client.cookies["csrf"]
    assert keep(client, own) == 403
