"""An agent without its operator's key answers that it is sealed, and opens when the key is there."""

import httpx
import pytest

from crypto_agent.client import AgentClient, AgentSealed, AgentUnavailable
from demo.ports import free_port
from tests.crypto_agent.calls import CALLS
from tests.crypto_agent.people import ALICE
from tests.crypto_agent.running_agent import Agent, running_agent


def test_a_sealed_agent_answers_its_state_alone_and_can_be_opened_while_it_runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_agent(tmp_path_factory.mktemp("sealed"), unsealed=False) as agent:
        assert agent.client().status().state == "sealed"
        # As the container's health check asks: under no name that the agent knows, and it is alive.
        health = httpx.get(f"{agent.url}/healthz", headers={"Host": "localhost.invalid:8700"})
        assert (health.status_code, health.json()["state"]) == (200, "sealed")
        for caller, call in CALLS.values():
            with pytest.raises(AgentSealed):
                call(agent.client(caller))
        _key_file_of_another_kind(agent)
        agent.command("make_operator_key").check_returncode()
        web = agent.client()
        assert web.status().state == "open"
        assert web.create_device(ALICE, "alice.test", "mail.test").did == ALICE
        outcomes = agent.execute("SELECT purpose, outcome FROM crypto_agent_auditentry ORDER BY sequence")
        assert [tuple(row) for row in outcomes[: len(CALLS)]] == [(method, "AgentSealed") for method in CALLS]


def _key_file_of_another_kind(agent: Agent) -> None:
    for wrong in (b"", b"not a key\n", b"c2hvcnQ=\n", bytes(range(256))):
        agent.operator_key.write_bytes(wrong)
        assert agent.client().status().state == "sealed"
    agent.operator_key.unlink()


def test_an_agent_that_is_not_there_is_unavailable() -> None:
    client = AgentClient(f"http://127.0.0.1:{free_port()}", "secret of thirty-two characters!", "web")
    with pytest.raises(AgentUnavailable) as unavailable:
        client.status()
    assert not isinstance(unavailable.value, AgentSealed)


def test_the_operator_key_is_made_once_and_for_its_owner_alone(own_agent: Agent) -> None:
    made = own_agent.operator_key.read_bytes()
    assert own_agent.operator_key.stat().st_mode & 0o777 == 0o600
    again = own_agent.command("make_operator_key")
    assert again.returncode == 1
    assert "already there" in again.stderr
    assert own_agent.operator_key.read_bytes() == made
