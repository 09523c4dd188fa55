"""Agents and the people whose keys they hold."""

from collections.abc import Iterator

import psycopg
import pytest

from crypto_agent.client import AgentClient, Device
from tests.crypto_agent.people import ALICE, BOB, CAROL
from tests.crypto_agent.running_agent import Agent, running_agent
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
    server = request.getfixturevalue("postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE custody")
    url = server.removesuffix("/postgres") + "/custody"
    with running_agent(tmp_path_factory.mktemp("agent-on-postgres"), url) as agent:
        yield agent


@pytest.fixture(params=["sqlite", "postgres"])
def either_agent(request: pytest.FixtureRequest) -> Agent:
    """An agent on each kind of database."""
    found: Agent = request.getfixturevalue("agent" if request.param == "sqlite" else "agent_on_postgres")
    return found


@pytest.fixture
def own_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent on SQLite for one test, that may break it."""
    with running_agent(tmp_path_factory.mktemp("own-agent")) as agent:
        yield agent


@pytest.fixture
def web(agent: Agent) -> Iterator[AgentClient]:
    client = agent.client("web")
    yield client
    client.close()


@pytest.fixture
def worker(agent: Agent) -> Iterator[AgentClient]:
    client = agent.client("worker")
    yield client
    client.close()


@pytest.fixture
def devices(web: AgentClient) -> dict[str, Device]:
    """The active devices of alice, bob and carol by DID."""
    return {
        did: web.create_device(did, handle, "mail.test")
        for did, handle in ((ALICE, "alice.test"), (BOB, "bob.test"), (CAROL, "carol.test"))
    }
