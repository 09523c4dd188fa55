"""Attestations made for an app, and the check of those that a record has."""

import secrets
from typing import Any

import httpx
import pytest
from atproto import Client

from crypto_agent.client import AgentClient, AgentRefused, Device
from demo.local_network import NetworkInfo
from tests.crypto_agent.app import (
    METADATA,
    RECORD,
    MakeApp,
    Refused,
    arguments,
)


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
