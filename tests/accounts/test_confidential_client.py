"""An https installation: a confidential client whose metadata and key the real PDS fetches and checks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.checks import run_checks
from django.test import Client
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts import oauth_client, oauth_tokens
from accounts.models import OAuthSession
from accounts.oauth import SignInError
from accounts.pds import PdsClient
from demo.local_network import NetworkInfo
from tests.accounts.conftest import begin, come_back
from tests.environment import RUN
from tests.services import sign_in as consent

pytestmark = pytest.mark.django_db(transaction=True)


def write_key(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@pytest.fixture(scope="module")
def public_server() -> Iterator[None]:
    """Serves the app where the PDS's map of origins leads."""
    server = LiveServer(f"127.0.0.1:{RUN.public}")
    yield
    server.stop()


@pytest.fixture(scope="module")
def client_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key for all tests: the PDS remembers for a while what it fetched."""
    path = tmp_path_factory.mktemp("client") / "key.pem"
    write_key(path)
    return path


@pytest.fixture
def https(public_server: None, client_key: Path, settings: Settings) -> None:
    """The settings of an https installation."""
    settings.PUBLIC_URL = RUN.public_origin
    settings.OAUTH_CLIENT_KEY_FILE = str(client_key)


@pytest.mark.usefixtures("https")
def test_signs_in_refreshes_and_signs_out(client: Client, local_network: NetworkInfo) -> None:
    url = begin(client, "alice.test")
    assert "client_id=https%3A%2F%2Fmail.waxwing.internal%2Foauth%2Fclient-metadata.json" in url
    callback = consent.approve(url, "alice.test", "alice-pass")
    assert callback.startswith(f"{RUN.public_origin}/oauth/callback?")
    assert come_back(client, callback).headers["location"] == "/welcome/"
    session = OAuthSession.objects.get()
    first = oauth_tokens.access_token(session)[0]
    assert oauth_tokens.access_token(session, refused=first)[0] != first
    assert PdsClient(session.account).put_record("at.atsms.inbox", "self", {"endpoints": []})
    assert client.post("/sign-out/").status_code == 302
    assert not OAuthSession.objects.exists()


@pytest.mark.usefixtures("https")
def test_another_key_than_the_published_one_is_refused(
    client: Client, local_network: NetworkInfo, settings: Settings, tmp_path: Path
) -> None:
    begin(client, "alice.test")
    published = oauth_client.jwks()
    write_key(tmp_path / "other-key.pem")
    settings.OAUTH_CLIENT_KEY_FILE = str(tmp_path / "other-key.pem")
    assert oauth_client.jwks() != published
    response = client.post("/sign-in/", {"handle": "alice.test"})
    assert response.context["error_code"] == "request-refused"


@pytest.mark.usefixtures("https")
def test_a_replaced_key_costs_no_session(
    client: Client, local_network: NetworkInfo, settings: Settings, tmp_path: Path
) -> None:
    """The server refuses it until it has fetched the new key, or until the old one is put back."""
    come_back(client, consent.approve(begin(client, "alice.test"), "alice.test", "alice-pass"))
    session = OAuthSession.objects.get()
    token, _ = oauth_tokens.access_token(session)
    right_key = settings.OAUTH_CLIENT_KEY_FILE
    write_key(tmp_path / "other-key.pem")
    settings.OAUTH_CLIENT_KEY_FILE = str(tmp_path / "other-key.pem")
    with pytest.raises(SignInError) as raised:
        oauth_tokens.access_token(session, refused=token)
    assert raised.value.code == "server-error"
    settings.OAUTH_CLIENT_KEY_FILE = right_key
    assert oauth_tokens.access_token(session, refused=token)[0] != token


@pytest.mark.usefixtures("https")
def test_what_the_installation_says_of_itself(client: Client) -> None:
    metadata = client.get("/oauth/client-metadata.json").json()
    assert metadata["client_id"] == f"{RUN.public_origin}/oauth/client-metadata.json"
    assert metadata["redirect_uris"] == [f"{RUN.public_origin}/oauth/callback"]
    assert metadata["token_endpoint_auth_method"] == "private_key_jwt"
    assert metadata["dpop_bound_access_tokens"] is True
    assert set(metadata["scope"].split()) == {
        "atproto",
        "repo:at.atsms.x509",
        "repo:at.atsms.prekey",
        "repo:at.atsms.inbox",
    }
    (key,) = client.get("/oauth/jwks.json").json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert key["kid"]
    assert "d" not in key


@pytest.mark.parametrize(
    ("url", "key", "network", "found"),
    [
        ("http://127.0.0.1:8000", "", "live", set()),
        ("http://[::1]:8000", "", "loopback", set()),
        ("http://localhost:8000", "", "live", set()),
        ("http://mail.example.org", "", "live", {"accounts.E001"}),
        ("https://mail.example.org", "", "live", {"accounts.E002"}),
        ("https://mail.example.org", "/key.pem", "live", set()),
        ("https://mail.example.org", "/key.pem", "elsewhere", {"accounts.E003"}),
    ],
)
def test_settings_that_could_not_sign_anybody_in_are_refused_at_the_start(
    settings: Settings, url: str, key: str, network: str, found: set[str]
) -> None:
    settings.PUBLIC_URL, settings.OAUTH_CLIENT_KEY_FILE, settings.NETWORK = url, key, network
    assert {error.id for error in run_checks() if str(error.id).startswith("accounts.")} == found
