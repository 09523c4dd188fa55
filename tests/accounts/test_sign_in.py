"""Signing in through the real PDS, and everything that must not sign anybody in."""

import json
import logging
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import oauth_client, oauth_tokens, tasks
from accounts.models import OAUTH_REQUEST_LIFETIME, Account, OAuthRequest, OAuthSession
from accounts.oauth_tokens import SignInAgain
from accounts.pds import PdsClient
from demo.local_network import NetworkInfo
from tests.accounts.conftest import SignIn, begin, come_back
from tests.services import sign_in as consent

pytestmark = pytest.mark.django_db

ALICE = ("alice.test", "alice-pass")


def test_signs_in_by_handle_and_goes_to_the_welcome_page(client: Client, local_network: NetworkInfo) -> None:
    url = begin(client, " @Alice.test ")
    key_before = client.session.session_key
    response = come_back(client, consent.approve(url, *ALICE))
    assert response.status_code == 302
    assert response.headers["location"] == "/welcome/"
    account = Account.objects.get()
    assert account.did == local_network.accounts["alice"].did
    assert (account.handle, account.display_name) == ("alice.test", "Alice")
    assert account.pds_url == local_network.pds_url
    session = account.oauth_sessions.get()
    assert set(session.scope.split()) == set(oauth_client.SCOPES)
    assert client.session["oauth_session"] == session.pk
    assert client.session.session_key != key_before
    assert not OAuthRequest.objects.exists()


@pytest.mark.parametrize("what", ["did", "pds_url"])
def test_signs_in_by_did_or_by_the_address_of_a_server(
    client: Client, local_network: NetworkInfo, what: str
) -> None:
    did = local_network.accounts["alice"].did
    url = begin(client, did if what == "did" else local_network.pds_url)
    assert come_back(client, consent.approve(url, *ALICE)).status_code == 302
    assert Account.objects.get().did == did


def test_goes_back_to_the_page_that_was_asked_for(client: Client, sign_in: SignIn) -> None:
    account = sign_in(client, "alice")
    account.enrolled_at = account.welcomed_at = account.created_at
    account.save()
    response = Client().get("/devices/")
    assert response.headers["location"] == "/sign-in/?next=%2Fdevices%2F"
    url = begin(client, "alice.test", next="/devices/")
    assert come_back(client, consent.approve(url, *ALICE)).headers["location"] == "/devices/"
    url = begin(client, "alice.test", next="//elsewhere.test/")
    assert come_back(client, consent.approve(url, *ALICE)).headers["location"] == "/"


def test_tokens_rest_encrypted_and_appear_in_no_text(
    client: Client, sign_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = sign_in(client, "alice").oauth_sessions.get()
    token, key = oauth_tokens.access_token(session)
    stored = b"".join(bytes(value) for value in (session.sealed_access_token, session.sealed_dpop_key))
    assert token.encode() not in stored
    private_part = key.as_dict(private=True)["d"]
    assert str(private_part).encode() not in stored
    for text in (repr(session), str(session), caplog.text, json.dumps(dict(client.session.items()))):
        assert token not in text
        assert str(private_part) not in text


def test_a_handle_that_cannot_be_asked_for_while_signing_in_stays(
    client: Client, sign_in: SignIn, local_network: NetworkInfo, settings: Settings
) -> None:
    account = sign_in(client, "alice")
    person = local_network.accounts["alice"].person
    callback = consent.approve(begin(client, person.handle), person.handle, person.password)
    settings.HANDLE_RESOLVER_URL = "http://localhost:9"
    assert come_back(client, callback).status_code == 302
    account.refresh_from_db()
    assert account.handle == "alice.test"


def test_another_browser_cannot_finish_a_sign_in(client: Client, local_network: NetworkInfo) -> None:
    callback = consent.approve(begin(client, "alice.test"), *ALICE)
    response = come_back(Client(), callback)
    assert response.status_code == 400
    assert response.context["error_code"] == "not-this-browser"
    assert not OAuthSession.objects.exists()
    # The one that began it still can.
    assert come_back(client, callback).status_code == 302


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"state": "wrong"}, "not-this-browser"),
        ({"state": ""}, "not-this-browser"),
        ({"iss": "http://localhost:1"}, "wrong-issuer"),
        ({"iss": ""}, "wrong-issuer"),
        ({"code": "made-up"}, "server-error"),
        ({"code": ""}, "server-error"),
        ({"error": "server_error"}, "server-error"),
    ],
)
def test_a_changed_callback_signs_nobody_in(
    client: Client, local_network: NetworkInfo, change: dict[str, str], code: str
) -> None:
    callback = consent.approve(begin(client, "alice.test"), *ALICE)
    response = client.get("/oauth/callback", consent.callback_parameters(callback) | change)
    assert response.status_code == 400
    assert response.context["error_code"] == code
    assert not OAuthSession.objects.exists()
    assert "oauth_session" not in client.session


def test_denied(client: Client, local_network: NetworkInfo) -> None:
    response = come_back(client, consent.deny(begin(client, "alice.test"), *ALICE))
    assert response.context["error_code"] == "denied"
    assert "aria-invalid" not in response.content.decode()
    assert not OAuthSession.objects.exists()


def test_a_narrowed_scope_is_named_and_the_token_is_given_back(
    client: Client, local_network: NetworkInfo
) -> None:
    url = begin(client, "alice.test")
    response = come_back(
        client, consent.approve(url, *ALICE, scope="atproto repo:at.atsms.x509 repo:at.atsms.inbox")
    )
    assert response.context["error_code"] == "scope-missing"
    assert "at.atsms.prekey" in response.context["error"]
    assert not OAuthSession.objects.exists()


def test_a_callback_works_once(client: Client, local_network: NetworkInfo) -> None:
    callback = consent.approve(begin(client, "alice.test"), *ALICE)
    assert come_back(client, callback).status_code == 302
    response = come_back(client, callback)
    assert response.status_code == 400
    assert OAuthSession.objects.count() == 1


def test_requests_that_were_never_finished_are_forgotten(client: Client, local_network: NetworkInfo) -> None:
    begin(client, "alice.test")
    begin(client, "bob.test")
    OAuthRequest.objects.filter(did=local_network.accounts["alice"].did).update(
        created_at=timezone.now() - OAUTH_REQUEST_LIFETIME - timedelta(seconds=1)
    )
    tasks.forget_old()
    assert OAuthRequest.objects.get().did == local_network.accounts["bob"].did


def test_who_never_began_a_sign_in_leaves_nothing_behind(client: Client) -> None:
    assert client.get("/oauth/callback", {"state": "made-up"}).status_code == 400
    assert not Session.objects.exists()


def test_sessions_of_browsers_that_stayed_away_are_forgotten() -> None:
    for age in (1, -1):
        Session.objects.create(session_key=f"key{age}", expire_date=timezone.now() + timedelta(days=age))
    tasks.forget_old()
    assert [session.session_key for session in Session.objects.all()] == ["key1"]


def test_unsafe_requests_need_a_token_of_our_own_pages(sign_in: SignIn) -> None:
    client = Client()
    sign_in(client, "alice")
    client.handler.enforce_csrf_checks = True
    for path in ("/sign-in/", "/sign-out/", "/welcome/", f"/devices/{'0' * 64}/revoke/"):
        assert client.post(path, {"handle": "alice.test"}).status_code == 403
    assert OAuthSession.objects.count() == 1


def test_a_request_expires(client: Client, local_network: NetworkInfo) -> None:
    callback = consent.approve(begin(client, "alice.test"), *ALICE)
    request = OAuthRequest.objects.get()
    request.created_at -= OAUTH_REQUEST_LIFETIME + timedelta(seconds=1)
    request.save()
    assert come_back(client, callback).context["error_code"] == "expired"
    assert not OAuthSession.objects.exists()


def test_signing_in_as_somebody_else_than_named_is_refused(
    client: Client, local_network: NetworkInfo
) -> None:
    callback = consent.approve(begin(client, "alice.test"), "bob.test", "bob-pass")
    assert come_back(client, callback).context["error_code"] == "wrong-account"
    assert not OAuthSession.objects.exists()


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "not-a-handle"),
        ("   ", "not-a-handle"),
        ("alice", "not-a-handle"),
        ("alice@pds.test", "not-a-handle"),
        ("nobody.test", "handle-not-found"),
        ("did:plc:" + "a" * 24, "did-not-found"),
        ("did:key:z6Mk", "not-a-handle"),
        ("https://127.0.0.1:9", "server-unreachable"),
        ("ftp://localhost", "server-unsuitable"),
    ],
)
def test_what_cannot_be_signed_in_with_gets_a_sentence(
    client: Client, local_network: NetworkInfo, typed: str, code: str
) -> None:
    response = client.post("/sign-in/", {"handle": typed})
    assert response.status_code == 400
    assert response.context["error_code"] == code
    assert response.context["error"] in response.content.decode().replace("&#x27;", "'")


def test_sign_out_revokes_at_the_server(client: Client, sign_in: SignIn, local_network: NetworkInfo) -> None:
    account = sign_in(client, "alice")
    session = account.oauth_sessions.get()
    token, key = oauth_tokens.access_token(session)
    pds = PdsClient(account)
    record = {"endpoints": [{"uri": "https://example.org/inbox"}]}
    assert pds._post("com.atproto.repo.putRecord", put_inbox(account, record), token, key).status_code == 200
    assert client.post("/sign-out/").headers["location"] == "/sign-in/"
    assert not OAuthSession.objects.exists()
    assert "oauth_session" not in client.session
    assert pds._post("com.atproto.repo.putRecord", put_inbox(account, record), token, key).status_code == 401
    with pytest.raises(SignInAgain):
        pds.put_record("at.atsms.inbox", "self", record)


def put_inbox(account: Account, record: dict[str, object]) -> dict[str, object]:
    return {"repo": account.did, "collection": "at.atsms.inbox", "rkey": "self", "record": record}


def test_signs_out_here_even_if_the_server_cannot_be_told(
    client: Client, sign_in: SignIn, local_network: NetworkInfo
) -> None:
    session = sign_in(client, "alice").oauth_sessions.get()
    session.issuer = "http://localhost:9"
    session.save()
    assert client.post("/sign-out/").status_code == 302
    assert not OAuthSession.objects.exists()
    assert client.get("/devices/").headers["location"].startswith("/sign-in/")


def test_pages_need_somebody_signed_in(client: Client) -> None:
    for path in ("/welcome/", "/welcome/done/", "/devices/", f"/devices/{'0' * 64}/revoke/"):
        assert client.get(path).headers["location"].startswith("/sign-in/?next=")
    response = client.get("/devices/", headers={"HX-Request": "true"})
    assert (response.status_code, response.headers["HX-Redirect"]) == (401, "/sign-in/")
    assert client.get("/sign-out/").status_code == 405


def test_who_has_not_enrolled_is_sent_to_the_welcome_page(client: Client, sign_in: SignIn) -> None:
    sign_in(client, "alice")
    assert client.get("/devices/").headers["location"] == "/welcome/"


def test_a_request_carries_nothing_but_a_reference(client: Client, local_network: NetworkInfo) -> None:
    query = parse_qs(urlsplit(begin(client, "alice.test")).query)
    assert set(query) == {"client_id", "request_uri"}


def test_the_loopback_client_serves_no_metadata(client: Client) -> None:
    assert client.get("/oauth/client-metadata.json").status_code == 404
    assert client.get("/oauth/jwks.json").status_code == 404
