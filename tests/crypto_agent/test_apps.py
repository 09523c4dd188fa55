"""Apps that call the agent through their user's real PDS: what a grant allows, and that nothing else does."""

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from atproto import Client

from crypto_agent.app_calls import REFUSALS_ON_RECORD
from crypto_agent.app_methods import APP_METHODS
from crypto_agent.atsms.json_bytes import from_json, to_json
from crypto_agent.atsms.oneshot import read_signed
from crypto_agent.client import NAMESPACE, AgentClient, AgentRefused, Device, Grant
from crypto_agent.client_json import prekey_json
from crypto_agent.grants import GrantedPurpose
from crypto_agent.methods import METHODS
from demo.local_network import NetworkInfo
from tests.crypto_agent.app import App, Refused, device_of, session_of
from tests.crypto_agent.people import receive, write
from tests.crypto_agent.running_agent import Agent

PURPOSES = [purpose.value for purpose in GrantedPurpose]
RECORD = {"$type": "dev.test.badge", "text": "Was there", "signatures": []}
METADATA = {"$type": "dev.test.attestation", "purpose": "test"}
#: A token of the right form that no user ever got.
NO_GRANT = "A" * 43


@pytest.fixture(scope="module")
def alice_at_pds(local_network: NetworkInfo) -> Client:
    return session_of(local_network, "alice")


@pytest.fixture
def alice(local_network: NetworkInfo, web: AgentClient) -> Device:
    return device_of(local_network, "alice", web)


@pytest.fixture
def bob(local_network: NetworkInfo, web: AgentClient) -> Device:
    return device_of(local_network, "bob", web)


MakeApp = Callable[..., tuple[App, Grant]]


@pytest.fixture
def app(agent: Agent, web: AgentClient, alice: Device, alice_at_pds: Client) -> Iterator[MakeApp]:
    """`app("sign", …)` is an app to which alice granted that; revoked in the end."""
    made: list[Grant] = []

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


def target_json(device: Device) -> dict[str, Any]:
    assert device.prekey is not None
    return {
        "did": device.did,
        "fingerprint": device.fingerprint,
        "certificatePem": device.certificate_pem,
        "prekey": prekey_json(device.prekey),
    }


def arguments(alice: Device, bob: Device, envelope: bytes = b"envelope") -> dict[str, dict[str, Any]]:
    """Well-formed fields for every method."""
    message = {"recipients": [bob.did], "text": "From an app"}
    return {
        "status": {},
        "sign": {"message": message},
        "attest": {"record": RECORD, "metadata": METADATA, "repository": alice.did},
        "seal": {"message": message, "targets": [target_json(bob)]},
        "open": {"envelopes": [to_json(envelope)]},
    }


def test_there_is_a_purpose_for_each_method_and_the_tests_know_them(alice: Device, bob: Device) -> None:
    assert {name.removeprefix("app.") for name in APP_METHODS} == set(PURPOSES) == set(arguments(alice, bob))
    for name, method in APP_METHODS.items():
        assert name == f"app.{method.purpose}"


def test_the_audit_log_names_the_grant(agent: Agent, app: MakeApp, alice: Device, bob: Device) -> None:
    granted, grant = app("seal")
    granted.call("seal", **arguments(alice, bob)["seal"])
    with pytest.raises(Refused):
        granted.call("open", **arguments(alice, bob)["open"])
    rows = agent.execute(
        "SELECT did, purpose, count, outcome FROM crypto_agent_auditentry "  # noqa: S608
        f"WHERE caller = 'grant {grant.grant_id}' ORDER BY sequence"
    )
    assert [tuple(row) for row in rows] == [
        (alice.did, "app.seal", 1, "ok"),
        (alice.did, "app.open", 1, "PurposeNotGranted"),
    ]
    assert agent.command("verify_audit").returncode == 0


def test_what_an_app_seals_is_the_users_message(
    app: MakeApp, worker: AgentClient, web: AgentClient, alice: Device, bob: Device
) -> None:
    granted, _ = app("seal")
    sealed = granted.call("seal", **arguments(alice, bob)["seal"])
    (copy,) = sealed["copies"]
    assert (copy["did"], copy["form"], sealed["refused"]) == (bob.did, "sealed", [])
    received = receive(worker, bob.did, from_json(copy["envelope"], 1 << 17))
    assert (received.sender_did, received.sender_fingerprint) == (alice.did, alice.fingerprint)
    assert received.message_id == sealed["messageId"]
    assert web.read(bob.did, [received.content])[0].text == "From an app"


def test_a_copy_is_for_participants_alone(app: MakeApp, alice: Device, bob: Device) -> None:
    granted, _ = app("seal")
    message = {"recipients": [alice.did], "text": "To myself"}
    sealed = granted.call("seal", message=message, targets=[target_json(bob)])
    assert sealed["copies"] == []
    assert [refused["code"] for refused in sealed["refused"]] == ["not-a-participant"]


def test_what_an_app_signs_is_a_message_that_the_agent_made(app: MakeApp, alice: Device, bob: Device) -> None:
    granted, _ = app("sign")
    signed = granted.call("sign", **arguments(alice, bob)["sign"])
    message = read_signed(from_json(signed["signedData"], 1 << 17))
    assert (message.sender_did, message.sender_fingerprint) == (alice.did, alice.fingerprint)
    assert (message.message_id.hex(), message.content.text) == (signed["messageId"], "From an app")


def test_an_app_reads_what_it_opens(
    app: MakeApp, web: AgentClient, worker: AgentClient, alice: Device, bob: Device
) -> None:
    granted, _ = app("open")
    _, sealed = write(web, worker, bob.did, [alice], "For alice, see https://bob.test/")
    opened = granted.call("open", envelopes=[to_json(b"no envelope"), to_json(sealed.copies[0].envelope)])
    broken, whole = opened["opened"]
    assert set(broken) == {"envelopeId", "error"}
    assert whole["message"]["senderDid"] == bob.did
    assert whole["content"]["text"] == "For alice, see https://bob.test/"
    assert [facet["value"] for facet in whole["content"]["facets"]] == ["https://bob.test/"]
    assert "sealed" not in str(whole)


def test_status_is_what_the_app_may_know(app: MakeApp, alice: Device) -> None:
    granted, grant = app("status", "attest")
    status = granted.call("status")
    assert [device["fingerprint"] for device in status["devices"]] == [alice.fingerprint]
    assert status["purposes"] == ["status", "attest"]
    assert status["attestationKey"] == grant.attestation_key


def test_an_inline_attestation_holds_under_the_accounts_key_alone(
    app: MakeApp, web: AgentClient, alice: Device, bob: Device
) -> None:
    granted, grant = app("attest")
    attested = granted.call("attest", **arguments(alice, bob)["attest"])
    key = grant.attestation_key
    assert key is not None
    assert key.startswith("did:key:zDn")
    assert attested["key"] == key
    (entry,) = attested["record"]["signatures"]
    assert {"$type", "purpose", "key", "cid", "signature"} == set(entry)
    check = web.check_attestations
    trusted = {key: key}
    assert check(bob.did, attested["record"], alice.did, trusted_keys=trusted, trusted_proofs={}) == [key]
    other = app("attest", did=bob.did)[1].attestation_key
    assert other not in (None, key)
    changed = {**attested["record"], "text": "Was not there"}
    for record, repository, keys in (
        (RECORD, alice.did, trusted),
        (changed, alice.did, trusted),
        (attested["record"], bob.did, trusted),
        (attested["record"], alice.did, {}),
        (attested["record"], alice.did, {other: other}),
        (attested["record"], alice.did, {key: other}),
        ({**attested["record"], "signatures": []}, alice.did, trusted),
        (
            {name: value for name, value in attested["record"].items() if name != "signatures"},
            alice.did,
            trusted,
        ),
    ):
        with pytest.raises(AgentRefused) as refused:
            check(bob.did, record, repository, trusted_keys=keys, trusted_proofs={})  # type: ignore[arg-type]
        assert refused.value.code == "NotAttested"


def test_a_remote_attestation_holds_by_a_proof_in_the_users_repository(
    app: MakeApp,
    web: AgentClient,
    alice_at_pds: Client,
    local_network: NetworkInfo,
    alice: Device,
    bob: Device,
) -> None:
    granted, _ = app("attest")
    proof_key = f"proof-{secrets.token_hex(4)}"
    attested = granted.call("attest", **arguments(alice, bob)["attest"], proofKey=proof_key)
    uri = f"at://{alice.did}/{METADATA['$type']}/{proof_key}"
    (reference,) = attested["record"]["signatures"]
    assert (reference["uri"], attested["proofUri"]) == (uri, uri)
    place = {"repo": alice.did, "collection": METADATA["$type"], "rkey": proof_key}
    stored = alice_at_pds.com.atproto.repo.put_record(data={**place, "record": attested["proof"]})  # type: ignore[arg-type]
    # The PDS makes the same CID of the proof.
    assert stored.cid == reference["cid"]
    fetched = httpx.get(f"{local_network.pds_url}/xrpc/com.atproto.repo.getRecord", params=place).json()[
        "value"
    ]

    def check(record: dict[str, Any], proofs: dict[str, Any]) -> list[str]:
        return web.check_attestations(alice.did, record, alice.did, trusted_keys={}, trusted_proofs=proofs)

    assert check(attested["record"], {uri: fetched}) == [uri]
    for record, proofs in (
        (attested["record"], {}),
        (attested["record"], {uri: {**fetched, "purpose": "other"}}),
        ({**attested["record"], "text": "Was not there"}, {uri: fetched}),
    ):
        with pytest.raises(AgentRefused) as refused:
            check(record, proofs)
        assert refused.value.code == "NotAttested"


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {}},
        {"metadata": {"$type": "com.atproto.repo.strongRef"}},
        {"metadata": {"$type": "not an nsid"}},
        {"metadata": {**METADATA, "key": "did:key:zDn"}},
        {"metadata": {**METADATA, "repository": "did:plc:x"}},
        {"record": {"text": "no type"}},
        {"record": {**RECORD, "signatures": "none"}},
        {"record": {**RECORD, "number": 1.5}},
        {"proofKey": "a/b"},
    ],
)
def test_what_cannot_be_attested(app: MakeApp, alice: Device, bob: Device, change: dict[str, Any]) -> None:
    granted, _ = app("attest")
    with pytest.raises(Refused) as refused:
        granted.call("attest", **{**arguments(alice, bob)["attest"], **change})
    assert refused.value.code == "InvalidRequest"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_no_purpose_includes_another(app: MakeApp, alice: Device, bob: Device, purpose: str) -> None:
    granted, _ = app(purpose)
    for method, fields in arguments(alice, bob).items():
        if method == purpose:
            granted.call(method, **fields)
        else:
            with pytest.raises(Refused) as refused:
                granted.call(method, **fields)
            assert (refused.value.code, refused.value.status) == ("PurposeNotGranted", 403)


@pytest.mark.parametrize("method", PURPOSES)
def test_after_it_is_revoked_or_has_expired_a_grant_is_for_nothing(
    app: MakeApp, web: AgentClient, alice: Device, bob: Device, method: str
) -> None:
    granted, grant = app(*PURPOSES)
    fields = arguments(alice, bob)[method]
    granted.call(method, **fields)
    assert web.revoke_grant(alice.did, grant.grant_id).revoked_at is not None
    with pytest.raises(Refused) as refused:
        granted.call(method, **fields)
    assert refused.value.code == "NotGranted"
    short, _ = app(*PURPOSES, seconds=1)
    time.sleep(1)
    with pytest.raises(Refused) as refused:
        short.call(method, **fields)
    assert refused.value.code == "GrantExpired"


@pytest.mark.parametrize("method", PURPOSES)
def test_another_accounts_grant_is_for_nothing(app: MakeApp, alice: Device, bob: Device, method: str) -> None:
    granted, _ = app(*PURPOSES, did=bob.did)
    with pytest.raises(Refused) as refused:
        granted.call(method, **arguments(alice, bob)[method])
    assert refused.value.code == "NotGranted"


def test_the_limit_counts_things_and_refuses_what_would_go_beyond(
    agent: Agent, app: MakeApp, web: AgentClient, alice: Device
) -> None:
    granted, grant = app("open", "status", limit=5)
    envelopes = [to_json(b"envelope")] * 4
    granted.call("open", envelopes=envelopes)
    with pytest.raises(Refused) as refused:
        granted.call("open", envelopes=envelopes)
    assert (refused.value.code, refused.value.status) == ("GrantLimitReached", 429)
    granted.call("status")
    with pytest.raises(Refused):
        granted.call("status")
    (shown,) = [one for one in web.list_grants(alice.did).grants if one.grant_id == grant.grant_id]
    assert shown.uses == 2
    assert shown.last_used_at is not None
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    agent.execute(
        f"UPDATE crypto_agent_grant SET hour_began_at = '{an_hour_ago}' WHERE grant_id = '{grant.grant_id}'"  # noqa: S608
    )
    granted.call("open", envelopes=envelopes)


def test_a_grants_token_is_kept_nowhere(own_agent: Agent, local_network: NetworkInfo) -> None:
    web = own_agent.client("web")
    alice = device_of(local_network, "alice", web)
    new = web.create_grant(
        alice.did, "Tests", ["status"], expires_at=datetime.now(UTC) + timedelta(days=1), hourly_limit=5
    )
    App(session_of(local_network, "alice"), f"{own_agent.did}#waxwing_agent", new.token).call("status")
    assert new.token not in repr(new)
    web.list_grants(alice.did)
    assert new.token not in str(web.answers[-1])
    files = b"".join(path.read_bytes() for path in own_agent.directory.iterdir() if path.is_file())
    assert new.grant.grant_id.encode() in files
    assert new.token.encode() not in files


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
