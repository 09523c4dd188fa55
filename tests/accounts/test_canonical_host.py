"""A local installation is at localhost, and signing in comes back to 127.0.0.1."""

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import oauth_client
from demo.local_network import NetworkInfo
from tests.accounts.conftest import begin
from tests.services import sign_in as consent

AT_NUMBER = "127.0.0.1:8000"
AT_NAME = "localhost:8000"


@pytest.fixture(autouse=True)
def _at_localhost(settings: Settings) -> None:
    settings.PUBLIC_URL, settings.PUBLIC_HOST = "http://localhost:8000", "localhost"


@pytest.mark.django_db
def test_a_browser_that_comes_back_to_the_number_is_signed_in_at_localhost(
    client: Client, local_network: NetworkInfo
) -> None:
    url = begin(client, "alice.test")
    callback = consent.approve(url, "alice.test", "alice-pass")
    assert callback.startswith(f"http://{AT_NUMBER}/oauth/callback?")
    path = callback.removeprefix(f"http://{AT_NUMBER}")
    # At the number the browser has no session: nothing is used up by coming there first.
    moved = Client().get(path, headers={"host": AT_NUMBER})
    assert (moved.status_code, moved.headers["location"]) == (302, f"http://{AT_NAME}{path}")
    assert moved.headers["cache-control"] == "no-store"
    assert not moved.cookies
    arrived = client.get(path, headers={"host": AT_NAME})
    assert (arrived.status_code, arrived.headers["location"]) == (302, "/welcome/")
    assert client.get("/devices/", headers={"host": AT_NAME}).headers["location"] == "/welcome/"


def test_redirects_from_a_number_lead_nowhere_but_to_localhost(client: Client) -> None:
    for path in ("/sign-in/?next=%2Fdevices%2F", "//evil.example/x", "/a?b=http://evil.example"):
        moved = client.get(path, headers={"host": AT_NUMBER})
        assert moved.headers["location"].startswith(f"http://{AT_NAME}/"), path


@pytest.mark.django_db
def test_mail_is_taken_at_the_number_as_well(client: Client) -> None:
    answer = client.post("/inbox/did:plc:" + "a" * 24, b"{}", "application/json", headers={"host": AT_NUMBER})
    assert answer.status_code not in (301, 302, 307, 308)


@pytest.mark.parametrize(
    ("public_url", "redirect_uri"),
    [
        ("http://localhost:8000", "http://127.0.0.1:8000/oauth/callback"),
        ("http://localhost", "http://127.0.0.1/oauth/callback"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/oauth/callback"),
        ("https://mail.example.org", "https://mail.example.org/oauth/callback"),
        ("https://localhost", "https://localhost/oauth/callback"),
    ],
)
def test_where_sign_in_comes_back_to(settings: Settings, public_url: str, redirect_uri: str) -> None:
    settings.PUBLIC_URL = public_url
    assert oauth_client.redirect_uri() == redirect_uri


def test_an_installation_elsewhere_sends_nobody_to_localhost(client: Client, settings: Settings) -> None:
    settings.PUBLIC_URL, settings.PUBLIC_HOST = "http://127.0.0.1:8000", "127.0.0.1"
    assert client.get("/oauth/jwks.json", headers={"host": AT_NUMBER}).status_code == 404
