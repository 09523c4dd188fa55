"""The numbers that two people compare to be sure of each other's keys (docs/comparing.md). Pure functions.

Each person's half is derived from their DID and the set of their devices' fingerprints alone. A fingerprint
is of a device's public point, so a number outlives new prekeys and renewed certificates.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

#: Separates these digests from every other use of the same hash.
DOMAIN = b"waxwing/compared-keys/v1"
ITERATIONS = 5200
DIGEST_BYTES = 32
#: A half has so many groups of five digits, each from five octets of the digest.
GROUPS_OF_HALF = 6

_CODE_START = "waxwing-keys/1"
#: Two DIDs of the greatest length, two digests, and what stands between.
MOST_CODE_CHARACTERS = 4300
_MOST_DID_CHARACTERS = 2048


class CodeError(ValueError):
    """A text that is no code of this kind. ``code``: "not-a-code"."""

    code = "not-a-code"


@dataclass(frozen=True)
class PersonKeys:
    """Somebody's devices, by the fingerprints of their public points in lowercase hex."""

    did: str
    fingerprints: frozenset[str]


def digest_of(keys: PersonKeys) -> bytes:
    """The 32 octets that stand for one person's keys. Raises ValueError for a fingerprint that is none."""
    did = keys.did.encode()
    points = sorted(bytes.fromhex(fingerprint) for fingerprint in keys.fingerprints)
    if any(len(point) != DIGEST_BYTES for point in points):
        raise ValueError("a fingerprint has 32 octets")
    material = len(did).to_bytes(2, "big") + did + len(points).to_bytes(2, "big") + b"".join(points)
    return PBKDF2HMAC(SHA512(), DIGEST_BYTES, DOMAIN, ITERATIONS).derive(material)


def number_of(one: PersonKeys, other: PersonKeys) -> tuple[str, ...]:
    """The twelve groups of five digits, the same for both of them."""
    first, second = sorted((_half(digest_of(one)), _half(digest_of(other))))
    return first + second


def code_of(one: PersonKeys, other: PersonKeys) -> str:
    """The text of the code to be scanned, the same for both of them."""
    parts = [_CODE_START]
    for keys in sorted((one, other), key=lambda keys: keys.did):
        parts += [keys.did, base64.urlsafe_b64encode(digest_of(keys)).decode().rstrip("=")]
    return " ".join(parts)


def digests_in(code: str) -> dict[str, bytes]:
    """Whose keys a scanned or pasted code speaks of: their digests by DID. Raises CodeError."""
    if len(code) > MOST_CODE_CHARACTERS:
        raise CodeError("too long")
    match code.split():
        case [start, one, digest, other, other_digest] if start == _CODE_START and one != other:
            return {one: _digest(one, digest), other: _digest(other, other_digest)}
    raise CodeError("not a code of this kind")


def differing(code: str, one: PersonKeys, other: PersonKeys) -> frozenset[str]:
    """The DIDs of those about whom the code says something else; nobody when it matches.

    Raises CodeError for a code that is not about these two.
    """
    said = digests_in(code)
    if set(said) != {one.did, other.did}:
        raise CodeError("about other people")
    return frozenset(keys.did for keys in (one, other) if said[keys.did] != digest_of(keys))


def _half(digest: bytes) -> tuple[str, ...]:
    groups = (digest[start : start + 5] for start in range(0, 5 * GROUPS_OF_HALF, 5))
    return tuple(f"{int.from_bytes(octets, 'big') % 100_000:05}" for octets in groups)


def _digest(did: str, text: str) -> bytes:
    if not did.startswith("did:") or len(did) > _MOST_DID_CHARACTERS or not text.isascii():
        raise CodeError("no DID")
    try:
        digest = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise CodeError("no digest") from error
    if len(digest) != DIGEST_BYTES:
        raise CodeError("no digest")
    return digest
