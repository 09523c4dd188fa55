"""Attestations made for an app, and the check of those that a record has."""

import secrets
from typing import Any

import httpx
import pytest
from atproto import Client
from cryptography.hazmat.primitives.asymmetric import ec

from crypto_agent.atsms.attestations import has_low_s
from crypto_agent.atsms.json_bytes import from_json, to_json
from crypto_agent.client import AgentClient, AgentRefused, Device
from demo.local_network import NetworkInfo
from tests.crypto_agent.app import (
    METADATA,
    RECORD,
    MakeApp,
    Refused,
    arguments,
)

ORDER_K256 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_an_inline_attestation_holds_under_the_accounts_key_alone(
    app: MakeApp, web: AgentClient, alice: Device, bob: Device
) -> None:
    granted, grant = app("attest")
    attested = granted.call("attest", **arguments(alice, bob)["attest"])
    key = grant.attestation_keys[0]
    assert key.startswith("did:key:zDn")
    assert attested["key"] == key
    (entry,) = attested["record"]["signatures"]
    assert {"$type", "purpose", "key", "cid", "signature"} == set(entry)
    check = web.check_attestations
    trusted = {key: key}
    assert check(bob.did, attested["record"], alice.did, trusted_keys=trusted, trusted_proofs={}) == [key]
    other = app("attest", did=bob.did)[1].attestation_keys[0]
    assert other != key
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


def test_the_app_chooses_the_curve_and_each_has_a_key_of_its_own(
    app: MakeApp, web: AgentClient, alice: Device, bob: Device
) -> None:
    granted, grant = app("attest")
    p256, k256 = grant.attestation_keys
    assert k256.startswith("did:key:zQ3s")
    asked = arguments(alice, bob)["attest"]
    attested = granted.call("attest", **asked, curve="K-256")
    assert attested["key"] == k256
    (entry,) = attested["record"]["signatures"]
    signature = from_json(entry["signature"], 64)
    assert has_low_s(signature, ec.SECP256K1())
    check = web.check_attestations
    for trusted in ({k256: k256}, {k256: k256, p256: p256}):
        held = check(bob.did, attested["record"], alice.did, trusted_keys=trusted, trusted_proofs={})
        assert held == [k256]
    high = ORDER_K256 - int.from_bytes(signature[32:], "big")
    malleable = to_json(signature[:32] + high.to_bytes(32, "big"))
    for record, key in (
        (attested["record"], p256),
        ({**attested["record"], "text": "Was not there"}, k256),
        ({**attested["record"], "signatures": [{**entry, "signature": malleable}]}, k256),
    ):
        with pytest.raises(AgentRefused) as refused:
            check(bob.did, record, alice.did, trusted_keys={k256: key}, trusted_proofs={})
        assert refused.value.code == "NotAttested"
    by_default = granted.call("attest", **asked, curve="P-256")
    assert by_default["key"] == p256 == granted.call("attest", **asked)["key"]
    both = granted.call("attest", **{**asked, "record": by_default["record"]}, curve="K-256")["record"]
    trusted = {key: key for key in grant.attestation_keys}
    assert check(bob.did, both, alice.did, trusted_keys=trusted, trusted_proofs={}) == [p256, k256]


def test_keys_are_made_once(app: MakeApp) -> None:
    assert app("attest")[1].attestation_keys == app("attest", "sign")[1].attestation_keys
    assert app("sign")[1].attestation_keys == ()


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
        {"curve": "P-384"},
    ],
)
def test_what_cannot_be_attested(app: MakeApp, alice: Device, bob: Device, change: dict[str, Any]) -> None:
    granted, _ = app("attest")
    with pytest.raises(Refused) as refused:
        granted.call("attest", **{**arguments(alice, bob)["attest"], **change})
    assert refused.value.code == "InvalidRequest"
