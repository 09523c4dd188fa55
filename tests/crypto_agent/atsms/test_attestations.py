"""Attestations on records: the vectors, our own signatures, and what is refused."""

import copy
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from crypto_agent.atsms import attestations, dag_cbor
from crypto_agent.atsms.attestations import (
    content_cid,
    make_proof,
    record_cid,
    sign_inline,
    signing_block,
    verify_inline,
    verify_remote,
)
from crypto_agent.atsms.dag_cbor import cid_from_text, cid_text, encode_json
from crypto_agent.atsms.did_keys import public_key
from crypto_agent.atsms.errors import BadAttestation, NotCanonical
from crypto_agent.atsms.json_bytes import from_json, to_json
from tests.crypto_agent.atsms.reference import vectors

VECTORS = vectors("attestation.json")
REMOTE = VECTORS["remote"]
HAZARD = VECTORS["dataModelHazard"]
OTHER_REPOSITORY = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "k256": ec.SECP256K1()}

inline = pytest.mark.parametrize("curve", ["p256", "k256"])


def private_key(curve: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(VECTORS[curve]["privateKeyHex"], 16), CURVES[curve])


def entry_of(record: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = record["signatures"][0]
    return entry


@inline
def test_the_signed_block_and_its_cid(curve: str) -> None:
    vector = VECTORS[curve]
    arguments = (vector["record"], vector["metadata"], vector["repository"])
    assert signing_block(*arguments).hex() == vector["sigObjectCborHex"]
    assert content_cid(*arguments).hex() == vector["contentCidHex"]
    assert cid_text(content_cid(*arguments)) == vector["contentCid"]
    assert cid_from_text(vector["contentCid"]).hex() == vector["contentCidHex"]


@inline
def test_a_did_key_is_its_public_key(curve: str) -> None:
    key = private_key(curve).public_key()
    did_key = VECTORS[curve]["didKey"]
    assert public_key(did_key) == key
    assert public_key(did_key.removeprefix("did:key:")) == key
    assert public_key(f"{did_key}#{did_key.removeprefix('did:key:')}") == key


@inline
def test_signing_reproduces_the_vector(curve: str) -> None:
    vector = VECTORS[curve]
    signed = sign_inline(vector["record"], vector["metadata"], vector["repository"], private_key(curve))
    signature = from_json(entry_of(signed)["signature"], 64)
    assert signature.hex() == vector["signatureHex"]
    expected = copy.deepcopy(vector["signed"])
    # The reference pads the base64; atproto's JSON has no padding, and both are read.
    entry_of(expected)["signature"] = to_json(signature)
    assert signed == expected
    assert "signatures" not in vector["record"]


@inline
def test_the_vector_verifies_in_its_own_repository_alone(curve: str) -> None:
    vector = VECTORS[curve]
    key = public_key(vector["didKey"])
    verify_inline(vector["signed"], entry_of(vector["signed"]), vector["repository"], key)
    with pytest.raises(BadAttestation):
        verify_inline(vector["signed"], entry_of(vector["signed"]), OTHER_REPOSITORY, key)


@inline
def test_another_repository_makes_another_cid(curve: str) -> None:
    vector = VECTORS[curve]
    cids = {
        cid_text(content_cid(vector["record"], vector["metadata"], repository))
        for repository in (vector["repository"], OTHER_REPOSITORY)
    }
    assert cids >= {vector["contentCid"]}
    assert len(cids) == 2


@inline
def test_the_cid_in_the_entry_may_be_left_out_but_not_be_wrong(curve: str) -> None:
    vector = VECTORS[curve]
    key = public_key(vector["didKey"])
    entry = dict(entry_of(vector["signed"]))
    entry["cid"] = vector["otherRepoCid"]
    with pytest.raises(BadAttestation):
        verify_inline(vector["signed"], entry, vector["repository"], key)
    del entry["cid"]
    verify_inline(vector["signed"], entry, vector["repository"], key)


@inline
def test_a_high_s_is_refused(curve: str) -> None:
    vector = VECTORS[curve]
    entry = dict(entry_of(vector["signed"]))
    compact = from_json(entry["signature"], 64)
    order = attestations._ORDERS[CURVES[curve].name]
    high = order - int.from_bytes(compact[32:], "big")
    entry["signature"] = to_json(compact[:32] + high.to_bytes(32, "big"))
    with pytest.raises(BadAttestation, match="high s"):
        verify_inline(vector["signed"], entry, vector["repository"], public_key(vector["didKey"]))


@inline
@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "did:web:somebody.else"},
        {"signature": to_json(bytes(64))},
        {"signature": to_json(bytes(63))},
        {"signature": {"$bytes": "!" * 86}},
        {"signature": "text"},
        {"$type": ""},
        {"$type": 7},
        {"$type": "com.atproto.repo.strongRef"},
        {"more": 1.5},
    ],
)
def test_changed_entries_do_not_verify(curve: str, changes: dict[str, Any]) -> None:
    vector = VECTORS[curve]
    entry = {**entry_of(vector["signed"]), **changes}
    with pytest.raises(BadAttestation):
        verify_inline(vector["signed"], entry, vector["repository"], public_key(vector["didKey"]))


@inline
def test_a_changed_record_does_not_verify(curve: str) -> None:
    vector = VECTORS[curve]
    record = {**vector["signed"], "count": 8}
    with pytest.raises(BadAttestation):
        verify_inline(record, entry_of(record), vector["repository"], public_key(vector["didKey"]))


def test_the_other_curves_key_does_not_verify() -> None:
    vector = VECTORS["p256"]
    with pytest.raises(BadAttestation):
        verify_inline(
            vector["signed"],
            entry_of(vector["signed"]),
            vector["repository"],
            public_key(VECTORS["k256"]["didKey"]),
        )


def test_a_remote_proof() -> None:
    proof = make_proof(REMOTE["record"], REMOTE["metadata"], REMOTE["repository"])
    assert proof == REMOTE["proofRecord"]
    assert proof["cid"] == REMOTE["contentCid"]
    assert encode_json(proof).hex() == REMOTE["proofCborHex"]
    assert record_cid(proof) == REMOTE["proofCid"]
    verify_remote(REMOTE["attested"], entry_of(REMOTE["attested"]), proof, REMOTE["repository"])


@pytest.mark.parametrize(
    ("record", "reference", "proof", "repository"),
    [
        pytest.param({"text": "changed"}, {}, {}, None, id="record changed"),
        pytest.param({}, {"cid": REMOTE["contentCid"]}, {}, None, id="reference to another record"),
        pytest.param({}, {"$type": "com.example.inline"}, {}, None, id="not a strong reference"),
        pytest.param({}, {}, {"purpose": "other"}, None, id="proof changed"),
        pytest.param({}, {}, {"float": 0.5}, None, id="proof that can't be hashed"),
        pytest.param({}, {}, {}, OTHER_REPOSITORY, id="record of another repository"),
    ],
)
def test_remote_proofs_that_do_not_hold(
    record: dict[str, Any], reference: dict[str, Any], proof: dict[str, Any], repository: str | None
) -> None:
    with pytest.raises(BadAttestation):
        verify_remote(
            {**REMOTE["attested"], **record},
            {**entry_of(REMOTE["attested"]), **reference},
            {**REMOTE["proofRecord"], **proof},
            repository or REMOTE["repository"],
        )


def test_bytes_and_links_have_two_readings() -> None:
    arguments = (HAZARD["recordJson"], HAZARD["metadata"], HAZARD["repository"])
    assert cid_text(content_cid(*arguments)) == HAZARD["cidDataModel"]
    assert cid_text(content_cid(*arguments, literal=True)) == HAZARD["cidLiteralJsonMaps"]


@pytest.mark.parametrize("literal", [False, True])
def test_either_reading_of_bytes_and_links_verifies(literal: bool) -> None:
    key = private_key("p256")
    about = content_cid(HAZARD["recordJson"], HAZARD["metadata"], HAZARD["repository"], literal=literal)
    proof = {**HAZARD["metadata"], "cid": cid_text(about)}
    reference = {"$type": attestations.STRONG_REF, "uri": "at://x", "cid": record_cid(proof)}
    verify_remote(HAZARD["recordJson"], reference, proof, HAZARD["repository"])
    if not literal:
        signed = sign_inline(HAZARD["recordJson"], HAZARD["metadata"], HAZARD["repository"], key)
        verify_inline(signed, entry_of(signed), HAZARD["repository"], key.public_key())


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (-1, "20"),
        (-500, "3901f3"),
        (2**63 - 1, "1b7fffffffffffffff"),
        ([None, True, False, b"\x01"], "84f6f5f44101"),
        # https://ipld.io/specs/codecs/dag-cbor: shorter keys first.
        ({"bb": 1, "a": 2}, "a261610262626201"),
        (
            {"$link": "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
            "d82a58250001711220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
    ],
)
def test_dag_cbor(value: object, encoded: str) -> None:
    assert encode_json(value).hex() == encoded


def test_the_cid_of_nothing() -> None:
    assert cid_text(dag_cbor.cid(b"")) == "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        2**63,
        -(2**63) - 1,
        {1: 2},
        "\ud800",
        {"$link": "bafy"},
        {"$link": "bafyreié"},
        {"$link": "Qm" + "1" * 44},
        {"$bytes": "a"},
        object(),
    ],
)
def test_values_that_no_record_holds(value: object) -> None:
    with pytest.raises(NotCanonical):
        encode_json(value)


def test_nesting_without_end_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(NotCanonical):
        encode_json(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:key:",
        "did:key:q123",
        "did:key:z0OIl",
        "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        "z" * 1000,
        "zDn",
    ],
)
def test_keys_of_other_kinds(text: str) -> None:
    with pytest.raises(BadAttestation):
        public_key(text)
