"""Agents and the people whose keys they hold."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from atproto import Client

from crypto_agent.client import AgentClient, Device, Grant
from demo.local_network import NetworkInfo
from tests.crypto_agent.app import App, MakeApp, device_of, session_of
from tests.crypto_agent.leaving import archived, new_did
from tests.crypto_agent.people import ALICE, BOB, CAROL, receive, write
from tests.crypto_agent.running_agent import Agent, CheckedClient, running_agent
from tests.services.postgres import new_database
from tests.services.programs import need


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent on SQLite; tests share it and must not break it."""
    with running_agent(tmp_path_factory.mktemp("agent")) as agent:
        yield agent


@pytest.fixture(scope="session")
def agent_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Agent]:
    """An agent on PostgreSQL; tests share it and must not break it."""
    need("PostgreSQL")
    url = new_database(request.getfixturevalue("postgres"), "custody")
    with running_agent(tmp_path_factory.mktemp("agent-on-postgres"), url) as agent:
        yield agent


@pytest.fixture(params=["sqlite", "postgres"])
def either_agent(request: pytest.FixtureRequest) -> Agent:
    """An agent on each kind of database."""
    found: Agent = request.getfixturevalue("agent" if request.param == "sqlite" else "agent_on_postgres")
    return found


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Another installation's agent, with a database and an operator's key of its own."""
    with running_agent(tmp_path_factory.mktemp("elsewhere")) as agent:
        yield agent


@pytest.fixture
def own_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent on SQLite for one test, that may break it."""
    with running_agent(tmp_path_factory.mktemp("own-agent")) as agent:
        yield agent


@pytest.fixture
def web(agent: Agent) -> Iterator[AgentClient]:
    with closing(agent.client("web")) as client:
        yield client


@pytest.fixture
def worker(agent: Agent) -> Iterator[AgentClient]:
    with closing(agent.client("worker")) as client:
        yield client


@pytest.fixture
def there(elsewhere: Agent) -> Iterator[CheckedClient]:
    with closing(elsewhere.client("web")) as client:
        yield client


@pytest.fixture
def there_working(elsewhere: Agent) -> Iterator[CheckedClient]:
    with closing(elsewhere.client("worker")) as client:
        yield client


@pytest.fixture
def devices(web: AgentClient) -> dict[str, Device]:
    """The active devices of alice, bob and carol by DID."""
    return {
        did: web.create_device(did, handle, "mail.test")
        for did, handle in ((ALICE, "alice.test"), (BOB, "bob.test"), (CAROL, "carol.test"))
    }


@pytest.fixture
def leaver(web: AgentClient) -> Device:
    """The device of somebody who goes elsewhere."""
    return web.create_device(new_did(), "leaver.test", "mail.test")


@pytest.fixture
def old(web: AgentClient, worker: AgentClient, devices: dict[str, Device], leaver: Device) -> bytes:
    """A message of Alice's that the leaver opened, as it lies in the archive."""
    _, sealed = write(web, worker, ALICE, [leaver], "an old message")
    return archived(worker, leaver.did, receive(worker, leaver.did, sealed.copies[0].envelope))


@pytest.fixture(scope="session")
def alice_at_pds(local_network: NetworkInfo) -> Client:
    return session_of(local_network, "alice")


@pytest.fixture
def alice(local_network: NetworkInfo, web: AgentClient) -> Device:
    return device_of(local_network, "alice", web)


@pytest.fixture
def bob(local_network: NetworkInfo, web: AgentClient) -> Device:
    return device_of(local_network, "bob", web)


@pytest.fixture
def app(agent: Agent, web: AgentClient, alice: Device, alice_at_pds: Client) -> Iterator[MakeApp]:
    """`app("sign", …)` is an app to which alice granted that; revoked in the end."""
    made: list[tuple[str, Grant]] = []

    def app(
        *purposes: str, did: str = alice.did, seconds: float = 3600, limit: int = 1000
    ) -> tuple[App, Grant]:
        expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        new = web.create_grant(did, "Tests", purposes, expires_at=expires_at, hourly_limit=limit)
        made.append((did, new.grant))
        return App(alice_at_pds, f"{agent.did}#waxwing_agent", new.token), new.grant

    yield app
    for did, grant in made:
        web.revoke_grant(did, grant.grant_id)
