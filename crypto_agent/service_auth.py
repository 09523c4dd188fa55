"""Inter-service tokens: the JWTs that a user's PDS signs in the user's name for the calls it passes on.

They say who the user is and what is called. They do not say which app calls, and the PDS needs nobody to
make one, so that alone they permit nothing (see grants.py). Source: the atproto XRPC specification,
"Inter-Service Authentication (JWT)".
"""

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from crypto_agent.atsms.attestations import has_low_s
from crypto_agent.atsms.ids import is_did
from crypto_agent.errors import AuthenticationRequired, InvalidToken

LONGEST_LIFETIME_S = 3600
CLOCK_SKEW_S = 30
SHORTEST_TOKEN_ID, LONGEST_TOKEN_ID = 8, 256
LONGEST_TOKEN = 4096
_ALGORITHMS = {"secp256r1": "ES256", "secp256k1": "ES256K"}

FindKey = Callable[[str], ec.EllipticCurvePublicKey]


@dataclass(frozen=True)
class UserToken:
    """A verified token: in whose name the call is made, and an id that must not have been seen before."""

    did: str
    token_id: str


@dataclass(frozen=True)
class Keys:
    """Where the verifier finds the key of a DID: as last known, and from the newest document.

    Both raise InvalidToken or IdentityUnavailable, and NoSuchAccount for a DID that is no user here.
    """

    known: FindKey
    fresh: FindKey


def verify_user_token(
    authorization: str, nsid: str, audiences: Collection[str], keys: Keys, now_s: float
) -> UserToken:
    """The user in whose name ``nsid`` is called, by the ``Authorization`` header, at ``now_s``.

    ``audiences`` are this service's DID with and without its fragment. Everything that the token says
    is checked before its key is looked up; a signature that does not hold is tried once more with the key of
    a fresh DID document. Raises AuthenticationRequired without a bearer token, InvalidToken for one that
    is not ES256 or ES256K under the issuer's key with ``iss``, ``aud``, ``lxm``, ``iat``, ``exp`` and
    ``jti`` in order, and what ``keys`` raises.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise AuthenticationRequired("a bearer token is needed")
    algorithm, claims = _unverified(token)
    if claims.get("aud") not in audiences:
        raise InvalidToken("the token is for another audience")
    if claims.get("lxm") != nsid:
        raise InvalidToken("the token is for another method")
    _check_times(claims.get("iat"), claims.get("exp"), now_s)
    token_id, issuer = claims.get("jti"), claims.get("iss")
    if not isinstance(token_id, str) or not SHORTEST_TOKEN_ID <= len(token_id) <= LONGEST_TOKEN_ID:
        raise InvalidToken("the token has no id")
    if not isinstance(issuer, str) or not is_did(issuer):
        # An issuer with a fragment is another service of the user, whose key is not the PDS's.
        raise InvalidToken("the token's issuer is not a DID")
    if not _holds(token, algorithm, keys.known(issuer)) and not _holds(token, algorithm, keys.fresh(issuer)):
        raise InvalidToken("the token does not verify")
    # The issuer is part of it: no user can use up another's ids.
    digest = hashlib.sha256(f"{issuer} {token_id}".encode("utf-8", "backslashreplace")).hexdigest()
    return UserToken(issuer, f"user:{digest}")


def _unverified(token: str) -> tuple[str, Mapping[str, object]]:
    """The algorithm and the claims as the token gives them."""
    try:
        parsed = jws.extract_compact(token.encode())
        header, claims = parsed.headers(), json.loads(parsed.payload)
    except (JoseError, ValueError, RecursionError):
        raise InvalidToken("the token is not a JWT") from None
    if len(token) > LONGEST_TOKEN or not isinstance(claims, dict):
        raise InvalidToken("the token is not a JWT")
    # Access and refresh tokens and DPoP proofs have types of their own, and are never for a service.
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise InvalidToken("the token is of another type")
    algorithm = header.get("alg")
    if algorithm not in _ALGORITHMS.values():
        raise InvalidToken("the token's algorithm is not ES256 or ES256K")
    return str(algorithm), claims


def _holds(token: str, algorithm: str, key: ec.EllipticCurvePublicKey) -> bool:
    if _ALGORITHMS[key.curve.name] != algorithm:
        return False
    try:
        jws.deserialize_compact(token.encode(), ECKey.import_key(key), algorithms=[algorithm])
    except (JoseError, ValueError):
        return False
    encoded = token.rpartition(".")[2]
    return has_low_s(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), key.curve)


def _check_times(issued_at: object, expires_at: object, now_s: float) -> None:
    if type(issued_at) is not int or type(expires_at) is not int:
        raise InvalidToken("the token's times are not integers")
    if issued_at > now_s + CLOCK_SKEW_S:
        raise InvalidToken("the token is from the future")
    if not 0 < expires_at - issued_at <= LONGEST_LIFETIME_S or expires_at > now_s + LONGEST_LIFETIME_S:
        raise InvalidToken("the token lives too long")
    if expires_at <= now_s:
        raise InvalidToken("the token has expired")
