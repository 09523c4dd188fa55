"""A PDS that signs whatever it likes in its user's name: without a grant it gets nothing."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from atproto import Client

from crypto_agent.app_calls import REFUSALS_ON_RECORD
from crypto_agent.client import NAMESPACE, AgentClient, Device
from crypto_agent.methods import METHODS
from demo.local_network import NetworkInfo
from tests.crypto_agent.app import (
    PURPOSES,
    App,
    MakeApp,
    Refused,
    arguments,
    device_of,
)
from tests.crypto_agent.people import write
from tests.crypto_agent.running_agent import Agent

#: A token of the right form that no user ever got.
NO_GRANT = "A" * 43


class HostilePds:
    """Alice's PDS, as its operator: it signs in her name whatever it likes, and calls the agent itself."""

    def __init__(self, agent: Agent, session: Client) -> None:
        self.agent = agent
        self.session = session

    def token(self, nsid: str, audience: str) -> str:
        answer = self.session.com.atproto.server.get_service_auth(
            params={"aud": audience, "lxm": nsid, "exp": int(time.time()) + 60}
        )
        return answer.token

    def call(self, method: str, fields: dict[str, Any], audience: str = "") -> httpx.Response:
        nsid = f"{NAMESPACE}.{method}"
        headers = {"Authorization": f"Bearer {self.token(nsid, audience or self.agent.did)}"}
        if method.startswith("list"):
            return httpx.get(f"{self.agent.url}/xrpc/{nsid}", params=fields, headers=headers)
        return httpx.post(f"{self.agent.url}/xrpc/{nsid}", json=fields, headers=headers)


@pytest.fixture
def hostile_pds(agent: Agent, alice_at_pds: Client) -> HostilePds:
    return HostilePds(agent, alice_at_pds)


@pytest.mark.parametrize("method", PURPOSES)
def test_a_hostile_pds_with_perfect_tokens_gets_nothing_without_a_grant(
    hostile_pds: HostilePds,
    app: MakeApp,
    web: AgentClient,
    worker: AgentClient,
    alice: Device,
    bob: Device,
    method: str,
) -> None:
    secret = "Only for alice"
    _, sealed = write(web, worker, bob.did, [alice], secret)
    fields = arguments(alice, bob, sealed.copies[0].envelope)[method]
    # A grant that is there, but that the PDS was never shown, helps it to nothing.
    app(*PURPOSES)
    bobs, _ = app(*PURPOSES, did=bob.did)
    for audience in (hostile_pds.agent.did, f"{hostile_pds.agent.did}#waxwing_agent"):
        for grant in (NO_GRANT, secrets.token_urlsafe(32), bobs.grant):
            answer = hostile_pds.call(f"app.{method}", {"grant": grant, **fields}, audience)
            assert (answer.status_code, answer.json()["error"]) == (403, "NotGranted"), answer.text
            assert secret not in answer.text
    for malformed in ({}, {"grant": ""}, {"grant": None}, {"grant": [NO_GRANT]}):
        answer = hostile_pds.call(f"app.{method}", {**fields, **malformed})
        assert (answer.status_code, answer.json()["error"]) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    "method",
    [*METHODS],
)
def test_nor_does_it_reach_what_this_installation_calls(
    hostile_pds: HostilePds, alice: Device, method: str
) -> None:
    answer = hostile_pds.call(method, {"did": alice.did})
    assert (answer.status_code, answer.json()["error"]) == (401, "InvalidToken")


def test_nor_does_it_find_out_a_grant_by_asking_often_nor_fill_the_log(
    own_agent: Agent, alice_at_pds: Client, local_network: NetworkInfo
) -> None:
    web = own_agent.client("web")
    device_of(local_network, "alice", web)
    hostile_pds = HostilePds(own_agent, alice_at_pds)
    for _ in range(REFUSALS_ON_RECORD + 10):
        answer = hostile_pds.call("app.status", {"grant": secrets.token_urlsafe(32)})
        assert answer.json()["error"] == "NotGranted"
    (row,) = own_agent.execute(
        "SELECT count(*) FROM crypto_agent_auditentry WHERE caller = 'unknown app' AND outcome = 'NotGranted'"
    )
    assert row[0] == REFUSALS_ON_RECORD


def test_a_call_that_passed_through_cannot_be_made_again(
    hostile_pds: HostilePds, app: MakeApp, agent: Agent
) -> None:
    granted, _ = app("status")
    nsid = f"{NAMESPACE}.app.status"
    headers = {"Authorization": f"Bearer {hostile_pds.token(nsid, agent.did)}"}
    answers = [
        httpx.post(f"{agent.url}/xrpc/{nsid}", json={"grant": granted.grant}, headers=headers)
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 401, 401]
    assert {answer.json().get("error") for answer in answers[1:]} == {"ReplayedToken"}


def test_nor_can_one_that_was_not_understood_and_it_is_on_record(
    own_agent: Agent, alice_at_pds: Client, local_network: NetworkInfo
) -> None:
    web = own_agent.client("web")
    device_of(local_network, "alice", web)
    hostile_pds = HostilePds(own_agent, alice_at_pds)
    nsid = f"{NAMESPACE}.app.status"
    headers = {
        "Authorization": f"Bearer {hostile_pds.token(nsid, own_agent.did)}",
        "Content-Type": "application/json",
    }
    answers = [
        httpx.post(f"{own_agent.url}/xrpc/{nsid}", content=content, headers=headers)
        for content in (b"[" + b"[]," * 1_000_000 + b"[]]", b'{"grant":1}')
    ]
    assert [answer.json()["error"] for answer in answers] == ["InvalidRequest", "ReplayedToken"]
    (row,) = own_agent.execute(
        "SELECT outcome, count FROM crypto_agent_auditentry WHERE purpose = 'app.status'"
    )
    assert row == ("InvalidRequest", 0)


def test_a_sealed_agent_does_nothing_for_apps(
    own_agent: Agent, alice_at_pds: Client, local_network: NetworkInfo
) -> None:
    web = own_agent.client("web")
    alice = device_of(local_network, "alice", web)
    new = web.create_grant(
        alice.did, "Tests", PURPOSES, expires_at=datetime.now(UTC) + timedelta(days=1), hourly_limit=50
    )
    key = own_agent.operator_key.read_bytes()
    own_agent.operator_key.unlink()
    own_agent.kill()
    own_agent.start()
    granted = App(alice_at_pds, f"{own_agent.did}#waxwing_agent", new.token)
    for method, fields in arguments(alice, alice).items():
        with pytest.raises(Refused) as refused:
            granted.call(method, **fields)
        assert (refused.value.code, refused.value.status) == ("AgentSealed", 503)
    own_agent.operator_key.write_bytes(key)
    granted.call("status")
