"""Reading the PLC directory's log about a DID (did:plc, "audit log"): pure functions over parsed JSON.

An entry counts only if its CID is that of its content, it is signed by a rotation key of the entry before it,
and the first one gives the DID. So the directory can leave out entries, or show different logs to different
people, but not make any up.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from crypto_agent.atsms import dag_cbor, did_keys
from crypto_agent.atsms.errors import AtsmsError

#: More entries than this are not read, nor more keys of one.
MAX_OPERATIONS = 500
MAX_ROTATION_KEYS = 10
MAX_TEXT = 512

_DID_PREFIX = "did:plc:"


class PlcLogError(ValueError):
    """A log that does not hold together. ``code``: "plc-log-broken"."""

    code = "plc-log-broken"


@dataclass(frozen=True)
class Operation:
    """One entry: what it says of handle, server and keys, and whether a later one undid it."""

    cid: str
    previous: str | None
    created_at: datetime
    nullified: bool
    tombstone: bool
    handle: str
    pds_url: str
    signing_key: str
    rotation_keys: tuple[str, ...]


def read(raw: Any, did: str) -> list[Operation]:
    """The entries of an audit log in their order, each checked. Raises PlcLogError."""
    if not isinstance(raw, list) or not 0 < len(raw) <= MAX_OPERATIONS:
        raise PlcLogError("no log, or a very long one")
    known: dict[str, Operation] = {}
    head: str | None = None
    for entry in raw:
        operation = _operation(entry, did, known)
        if operation.cid in known:
            raise PlcLogError("an entry twice")
        known[operation.cid] = operation
        if not operation.nullified:
            if operation.previous != head:
                raise PlcLogError("the entries that count are no chain")
            head = operation.cid
    if head is None:
        raise PlcLogError("no entry counts")
    return list(known.values())


def _operation(entry: Any, did: str, known: Mapping[str, Operation]) -> Operation:
    if not isinstance(entry, Mapping) or entry.get("did") != did:
        raise PlcLogError("an entry about another DID")
    body, cid = entry.get("operation"), entry.get("cid")
    if not isinstance(body, Mapping):
        raise PlcLogError("an entry without content")
    try:
        encoded = dag_cbor.encode_json(body, literal=True)
    except AtsmsError as error:
        raise PlcLogError("content that cannot be encoded") from error
    if cid != dag_cbor.cid_text(dag_cbor.cid(encoded)):
        raise PlcLogError("a CID that is not of the content")
    previous = body.get("prev")
    if previous is None and did != _did_of(encoded):
        raise PlcLogError("a first entry that does not give the DID")
    before = known.get(previous) if isinstance(previous, str) else None
    if previous is not None and before is None:
        raise PlcLogError("an entry after one that is not there")
    _check_signature(body, before.rotation_keys if before else _rotation_keys(body))
    return Operation(
        cid=cid,
        previous=previous,
        created_at=_time(entry.get("createdAt")),
        nullified=entry.get("nullified") is True,
        tombstone=body.get("type") == "plc_tombstone",
        handle=_handle(body),
        pds_url=_server(body),
        signing_key=_signing_key(body),
        rotation_keys=_rotation_keys(body),
    )


def _did_of(encoded: bytes) -> str:
    digest = base64.b32encode(hashlib.sha256(encoded).digest()).decode().lower()
    return _DID_PREFIX + digest[:24]


def _check_signature(body: Mapping[str, Any], keys: Sequence[str]) -> None:
    unsigned = {name: value for name, value in body.items() if name != "sig"}
    encoded = dag_cbor.encode_json(unsigned, literal=True)
    signature = _signature(body.get("sig"))
    for key in keys:
        try:
            did_keys.public_key(key).verify(signature, encoded, ec.ECDSA(SHA256()))
        except (InvalidSignature, AtsmsError):
            continue
        return
    raise PlcLogError("an entry that no rotation key signed")


def _signature(text: Any) -> bytes:
    try:
        raw = base64.b64decode(str(text) + "=" * (-len(str(text)) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise PlcLogError("a signature that is none") from error
    if len(raw) != 64:
        raise PlcLogError("a signature that is none")
    return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))


def _rotation_keys(body: Mapping[str, Any]) -> tuple[str, ...]:
    if body.get("type") == "create":
        # The first form of the log: the recovery key ranks above the signing key.
        keys: Any = [body.get("recoveryKey"), body.get("signingKey")]
    else:
        keys = body.get("rotationKeys", [])
    if not isinstance(keys, list):
        raise PlcLogError("rotation keys that are none")
    return tuple(_text(key) for key in keys[:MAX_ROTATION_KEYS])


def _handle(body: Mapping[str, Any]) -> str:
    names = [body.get("handle")] if body.get("type") == "create" else body.get("alsoKnownAs")
    first = names[0] if isinstance(names, list) and names else ""
    return _text(first).removeprefix("at://")[:253]


def _server(body: Mapping[str, Any]) -> str:
    if body.get("type") == "create":
        return _text(body.get("service"))
    services = body.get("services")
    pds = services.get("atproto_pds") if isinstance(services, Mapping) else None
    return _text(pds.get("endpoint")) if isinstance(pds, Mapping) else ""


def _signing_key(body: Mapping[str, Any]) -> str:
    if body.get("type") == "create":
        return _text(body.get("signingKey"))[:256]
    methods = body.get("verificationMethods")
    return _text(methods.get("atproto"))[:256] if isinstance(methods, Mapping) else ""


def _time(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text)[:40])
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise PlcLogError("a time that is none") from error


def _text(value: Any) -> str:
    """Text that may be stored and shown; empty for anything else."""
    return value[:MAX_TEXT] if isinstance(value, str) and value.isprintable() else ""
