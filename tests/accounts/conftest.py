"""Signing in to a test's Django client through the real PDS."""

from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from accounts.models import Account
from demo.local_network import NetworkInfo
from tests.accounts.http_server import Server
from tests.accounts.repository import empty_repository
from tests.services import sign_in as consent
from tests.services.agent import AgentProcess

SignIn = Callable[..., Account]


@pytest.fixture(autouse=True)
def _empty_cache(request: pytest.FixtureRequest) -> None:
    """What one test learned of an identity is no answer in the next."""
    if "redis_server" in request.fixturenames or "db" in request.fixturenames:
        request.getfixturevalue("redis_server")
        cache.clear()


@pytest.fixture(autouse=True)
def _agent(request: pytest.FixtureRequest) -> None:
    """Signing in asks the agent whether the account requires its passkey."""
    if "local_network" in request.fixturenames:
        request.getfixturevalue("agent_process")


def begin(client: Client, handle: str, **fields: str) -> str:
    """Posts the sign-in form; the authorization URL that the page leads on to."""
    response = client.post("/sign-in/", {"handle": handle, **fields})
    assert response.status_code == 200, response.context["error"]
    url: str = response.context["authorization_url"]
    return url


def come_back(client: Client, callback_url: str) -> HttpResponse:
    """Follows the PDS's redirect back to the app."""
    return client.get("/oauth/callback", consent.callback_parameters(callback_url))


@pytest.fixture
def sign_in(local_network: NetworkInfo) -> SignIn:
    """`sign_in(client, "alice")` signs a client in and returns the account."""

    def sign_in(client: Client, name: str) -> Account:
        person = local_network.accounts[name].person
        url = begin(client, person.handle)
        response = come_back(client, consent.approve(url, person.handle, person.password))
        assert response.status_code == 302, response.context["error"]
        return Account.objects.get(did=local_network.accounts[name].did)

    return sign_in


@pytest.fixture
def enrolled(sign_in: SignIn, agent_process: AgentProcess) -> SignIn:
    """`enrolled(client, "alice")` signs a client in and publishes, as the welcome page does; the account."""

    def enrolled(client: Client, name: str) -> Account:
        account = sign_in(client, name)
        response = client.post("/welcome/")
        assert response.status_code == 302, response.context["error"]
        account.refresh_from_db()
        return account

    return enrolled


@pytest.fixture(autouse=True)
def _empty_repositories(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one test published is not there in the next: its records are deleted with a password session."""
    yield
    if "local_network" not in request.fixturenames:
        return
    network: NetworkInfo = request.getfixturevalue("local_network")
    for account in network.accounts.values():
        empty_repository(network, account)


@pytest.fixture
def server() -> Iterator[Server]:
    """An HTTP server on the loopback address whose answers the test sets."""
    with Server() as running:
        yield running
