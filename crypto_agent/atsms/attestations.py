"""Attestations on atproto records: inline by a signature, remote by a record in another repository.

The scheme is badge.blue's "ATProtocol attestation" 1.0: what is attested is the CID of the record
without its signatures, with the attestation's metadata and the DID of its repository put in.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from crypto_agent.atsms import dag_cbor
from crypto_agent.atsms.errors import AtsmsError, BadAttestation
from crypto_agent.atsms.json_bytes import from_json, to_json

STRONG_REF = "com.atproto.repo.strongRef"

#: Orders of the two groups; a signature's s is kept in the lower half.
_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp256k1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
}


def content_cid(
    record: Mapping[str, Any], metadata: Mapping[str, Any], repository: str, *, literal: bool = False
) -> bytes:
    """The 36-byte CID that an attestation with ``metadata`` on ``record`` in ``repository`` is about.

    ``literal`` hashes ``$bytes`` and ``$link`` maps as they stand in JSON, as some implementations do;
    records with neither have one CID. Raises BadAttestation without a ``$type`` in either object.
    """
    return dag_cbor.cid(signing_block(record, metadata, repository, literal=literal))


def signing_block(
    record: Mapping[str, Any], metadata: Mapping[str, Any], repository: str, *, literal: bool = False
) -> bytes:
    """The DAG-CBOR whose CID ``content_cid`` gives."""
    for named in (record, metadata):
        if not isinstance(named.get("$type"), str) or not named["$type"]:
            raise BadAttestation("a record or an attestation without a $type")
    attested = {name: value for name, value in record.items() if name != "signatures"}
    about = {name: value for name, value in metadata.items() if name not in ("cid", "signature")}
    attested["$sig"] = {**about, "repository": repository}
    try:
        return dag_cbor.encode_json(attested, literal=literal)
    except AtsmsError as error:
        raise BadAttestation(f"a record that can't be attested: {error}") from error


def sign_inline(
    record: Mapping[str, Any],
    metadata: Mapping[str, Any],
    repository: str,
    key: ec.EllipticCurvePrivateKey,
) -> dict[str, Any]:
    """``record`` with one more inline attestation, signed by ``key`` (P-256 or K-256).

    ``metadata`` names its ``$type`` and the ``key`` to verify with. ECDSA over the binary CID, RFC 6979,
    ``r‖s`` with a low s.
    """
    about = content_cid(record, metadata, repository)
    order = _order(key.curve)
    r, s = decode_dss_signature(key.sign(about, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    signature = r.to_bytes(32, "big") + min(s, order - s).to_bytes(32, "big")
    entry = {
        **metadata,
        "cid": dag_cbor.cid_text(about),
        "signature": to_json(signature),
    }
    return {**record, "signatures": [*record.get("signatures", []), entry]}


def verify_inline(
    record: Mapping[str, Any],
    entry: Mapping[str, Any],
    repository: str,
    public_key: ec.EllipticCurvePublicKey,
) -> None:
    """Raises BadAttestation unless ``entry``, one of the record's signatures, holds under the key.

    The caller finds ``public_key`` by the entry's ``key``. A high s is refused: it would let anybody
    make a second valid signature.
    """
    if entry.get("$type") == STRONG_REF:
        raise BadAttestation("a remote attestation where an inline one is expected")
    signature = _signature(entry, public_key.curve)
    about = _matching_cid(record, entry, repository, signature, public_key)
    if "cid" in entry and entry["cid"] != dag_cbor.cid_text(about):
        raise BadAttestation("the attestation names another CID than the record's")


def has_low_s(signature: bytes, curve: ec.EllipticCurve) -> bool:
    """Whether the s of a signature of 64 bytes (``r‖s``) is in the lower half, as atproto wants it."""
    return int.from_bytes(signature[32:], "big") <= _order(curve) // 2


def make_proof(record: Mapping[str, Any], metadata: Mapping[str, Any], repository: str) -> dict[str, Any]:
    """The proof record of a remote attestation, to be put in the attestor's own repository."""
    about = content_cid(record, metadata, repository)
    return {**metadata, "cid": dag_cbor.cid_text(about)}


def record_cid(record: Mapping[str, Any]) -> str:
    """The CID text of a record as it is stored, for a strong reference to it."""
    return dag_cbor.cid_text(dag_cbor.cid(dag_cbor.encode_json(record)))


def verify_remote(
    record: Mapping[str, Any], reference: Mapping[str, Any], proof: Mapping[str, Any], repository: str
) -> None:
    """Raises BadAttestation unless ``proof``, fetched from ``reference``'s URI, attests ``record``.

    Trust comes from whose repository the URI is in, which is for the caller to judge.
    """
    if reference.get("$type") != STRONG_REF:
        raise BadAttestation("an inline attestation where a remote one is expected")
    try:
        stored = record_cid(proof)
    except AtsmsError as error:
        raise BadAttestation(f"a proof record that can't be hashed: {error}") from error
    if reference.get("cid") != stored:
        raise BadAttestation("the proof record is not the one that was referred to")
    cids = (content_cid(record, proof, repository, literal=literal) for literal in (False, True))
    if proof.get("cid") not in [dag_cbor.cid_text(about) for about in cids]:
        raise BadAttestation("the proof is about another record")


def _matching_cid(
    record: Mapping[str, Any],
    entry: Mapping[str, Any],
    repository: str,
    signature: bytes,
    public_key: ec.EllipticCurvePublicKey,
) -> bytes:
    for literal in (False, True):
        about = content_cid(record, entry, repository, literal=literal)
        try:
            public_key.verify(signature, about, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return about
    raise BadAttestation("the attestation's signature does not hold for the record")


def _signature(entry: Mapping[str, Any], curve: ec.EllipticCurve) -> bytes:
    """The entry's compact signature as the DER that verification takes."""
    try:
        compact = from_json(entry.get("signature"), 64)
    except AtsmsError as error:
        raise BadAttestation("an attestation without a signature of 64 bytes") from error
    if len(compact) != 64:
        raise BadAttestation("a signature that is not 64 bytes")
    if not has_low_s(compact, curve):
        raise BadAttestation("a signature with a high s")
    r, s = int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:], "big")
    return encode_dss_signature(r, s)


def _order(curve: ec.EllipticCurve) -> int:
    if curve.name not in _ORDERS:
        raise BadAttestation("a key of another kind than P-256 and K-256")
    return _ORDERS[curve.name]
