"""Attesting records with an account's attestation key, and checking attestations against trusted keys."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from crypto_agent.atsms import attestations, dag_cbor
from crypto_agent.atsms.did_keys import did_key, public_key
from crypto_agent.atsms.errors import AtsmsError, BadAttestation
from crypto_agent.custody import AccountKeys, Random
from crypto_agent.errors import CannotUnseal, InvalidRequest, NotAttested
from crypto_agent.key_store import account_keys
from crypto_agent.models import Account, AttestationKey
from crypto_agent.purposes import Context, Purpose

#: The agent sets these itself.
_RESERVED = ("cid", "key", "repository", "signature")
_NSID = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*(\.[a-zA-Z0-9-]+)+\.[a-zA-Z][a-zA-Z0-9]*")
_RECORD_KEY = re.compile(r"[A-Za-z0-9._:~-]{1,512}")
LONGEST_NSID = 317
MOST_SIGNATURES = 100
_CURVES: Mapping[str, ec.EllipticCurve] = {
    AttestationKey.Curve.P256.value: ec.SECP256R1(),
    AttestationKey.Curve.K256.value: ec.SECP256K1(),
}


@dataclass(frozen=True)
class Attested:
    """A record with one more attestation; for a remote one also the record that proves it, and its place."""

    record: dict[str, Any]
    key: str | None = None
    proof: dict[str, Any] | None = None
    proof_uri: str | None = None


@dataclass(frozen=True)
class Held:
    """An attestation that holds: its place among the record's signatures, and who made it."""

    index: int
    by: str


def make_attestation_keys(account: Account, keys: AccountKeys, now: datetime, random: Random) -> None:
    """The account's attestation keys, one for each curve that it lacks; runs in the caller's transaction."""
    present = set(AttestationKey.objects.filter(account=account).values_list("curve", flat=True))
    for name in AttestationKey.Curve:
        if name.value not in present:
            keep_attestation_key(account, keys, ec.generate_private_key(_CURVES[name.value]), now, random)


def keep_attestation_key(
    account: Account, keys: AccountKeys, key: ec.EllipticCurvePrivateKey, created_at: datetime, random: Random
) -> None:
    """Puts a new key of P-256 or K-256 into the account, in the caller's transaction."""
    curve = next(curve for curve, found in _CURVES.items() if found.name == key.curve.name)
    encoded = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    name = did_key(key.public_key())
    AttestationKey.objects.create(
        account=account,
        curve=curve,
        did_key=name,
        wrapped=keys.encrypt(_context(account.did, name), encoded, random),
        key_version=keys.current_version,
        created_at=created_at,
    )


def attestation_curves(account: Account) -> set[str]:
    """The names, as ``cryptography`` has them, of the curves that the account has a key of."""
    curves = AttestationKey.objects.filter(account=account).values_list("curve", flat=True)
    return {_CURVES[curve].name for curve in curves}


def attestation_did_keys(did: str) -> tuple[str, ...]:
    """The did:keys of the account's attestation keys, that of P-256 first; none before it attests."""
    rows = AttestationKey.objects.filter(account__did=did).values_list("curve", "did_key")
    order = list(_CURVES)
    return tuple(name for _, name in sorted(rows, key=lambda row: order.index(row[0])))


def attest_inline(
    did: str, record: Mapping[str, Any], metadata: Mapping[str, Any], repository: str, curve: str = "P-256"
) -> Attested:
    """``record``, kept in ``repository``, with a signature of the account's attestation key of ``curve``.

    Raises NoSuchAccount, and InvalidRequest for what can't be attested.
    """
    _, keys = account_keys(did)
    row = AttestationKey.objects.filter(account__did=did, curve=curve).first()
    if row is None:
        raise InvalidRequest("curve: the account has no such key before it allows an app to attest again")
    named = {**_metadata(metadata), "key": row.did_key}
    _check_record(record)
    try:
        signed = attestations.sign_inline(record, named, repository, _private_key(keys, row))
    except BadAttestation as error:
        raise InvalidRequest(f"record: {error}") from error
    return Attested(signed, key=row.did_key)


def attest_remotely(
    did: str, record: Mapping[str, Any], metadata: Mapping[str, Any], repository: str, record_key: str
) -> Attested:
    """``record`` with a reference to a proof, which the caller puts into the account's own repository.

    The proof's place is the collection that ``metadata`` has as its type, under ``record_key``.
    """
    account_keys(did)
    if _RECORD_KEY.fullmatch(record_key) is None:
        raise InvalidRequest("proofKey: not a record key")
    named = _metadata(metadata)
    _check_record(record)
    try:
        proof = attestations.make_proof(record, named, repository)
        proof_cid = attestations.record_cid(proof)
    except AtsmsError as error:
        raise InvalidRequest(f"record: {error}") from error
    uri = f"at://{did}/{named['$type']}/{record_key}"
    reference = {"$type": attestations.STRONG_REF, "uri": uri, "cid": proof_cid}
    attested = {**record, "signatures": [*record.get("signatures", []), reference]}
    return Attested(attested, proof=proof, proof_uri=uri)


def check_attestations(
    record: Mapping[str, Any],
    repository: str,
    trusted_keys: Mapping[str, str],
    trusted_proofs: Mapping[str, Mapping[str, Any]],
) -> list[Held]:
    """The record's attestations that hold under what the caller trusts, in their order.

    ``trusted_keys`` gives a did:key for each name that an attestation may have as its ``key``,
    ``trusted_proofs`` the proof records of trusted people, as fetched, by URI. Raises NotAttested if no
    attestation holds: a record without any is not an attested one.
    """
    _check_record(record)
    held = []
    for index, entry in enumerate(record.get("signatures", [])):
        try:
            held.append(Held(index, _attestor(record, entry, repository, trusted_keys, trusted_proofs)))
        except AtsmsError:
            continue
    if not held:
        raise NotAttested("the record has no attestation that is trusted and holds")
    return held


def _attestor(
    record: Mapping[str, Any],
    entry: Any,
    repository: str,
    trusted_keys: Mapping[str, str],
    trusted_proofs: Mapping[str, Mapping[str, Any]],
) -> str:
    match entry:
        case {"$type": attestations.STRONG_REF, "uri": str(uri)} if uri in trusted_proofs:
            attestations.verify_remote(record, entry, trusted_proofs[uri], repository)
            return uri
        case {"key": str(name)} if name in trusted_keys:
            attestations.verify_inline(record, entry, repository, public_key(trusted_keys[name]))
            return name
    raise BadAttestation("nobody trusted attests this")


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    for name in _RESERVED:
        if name in metadata:
            raise InvalidRequest(f"metadata.{name}: set by the agent")
    kind = metadata.get("$type")
    named = isinstance(kind, str) and len(kind) <= LONGEST_NSID and _NSID.fullmatch(kind) is not None
    if not named or kind == attestations.STRONG_REF:
        raise InvalidRequest("metadata.$type: not the NSID of an attestation")
    return dict(metadata)


def _check_record(record: Mapping[str, Any]) -> None:
    signatures = record.get("signatures", [])
    if not isinstance(signatures, list) or len(signatures) >= MOST_SIGNATURES:
        raise InvalidRequest(f"record.signatures: not an array of fewer than {MOST_SIGNATURES}")
    # It is encoded again for each attestation. What can't be encoded is for them to refuse.
    with suppress(AtsmsError):
        if len(dag_cbor.encode_json(record)) > dag_cbor.MAX_BYTES:
            raise InvalidRequest(f"record: more than {dag_cbor.MAX_BYTES} bytes")


def _private_key(keys: AccountKeys, row: AttestationKey) -> ec.EllipticCurvePrivateKey:
    encoded = keys.decrypt(_context(keys.did, row.did_key), bytes(row.wrapped), row.key_version)
    # The ciphertext is authenticated, so the key needs no second check of its point.
    key = serialization.load_der_private_key(encoded, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CannotUnseal("it can't be unsealed here")
    return key


def _context(did: str, name: str) -> Context:
    return Context(Purpose.ATTESTATION_KEY, did, device=name)
