"""Who calls: the short-lived service tokens of this installation, and what each caller may ask for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, OctKey
from joserfc.jws import CompactSignature

from crypto_agent.errors import AuthenticationRequired, InvalidToken, NotPermitted

AUDIENCE = "waxwing-agent"
LONGEST_LIFETIME_S = 60
#: How far the clocks of two hosts may differ.
CLOCK_SKEW_S = 5
LONGEST_TOKEN_ID = 128

#: The methods that each caller may use. The web process writes and shows; it opens no mail.
PERMITTED: Mapping[str, frozenset[str]] = {
    "web": frozenset(
        {
            "getStatus",
            "createDevice",
            "listDevices",
            "revokeDevice",
            "rotatePrekey",
            "renewCertificate",
            "compose",
            "encryptFile",
            "decryptFile",
            "sealDraft",
            "openDrafts",
            "read",
            "createGrant",
            "listGrants",
            "revokeGrant",
            "checkAttestations",
            "listAlarms",
            "getKeyStatus",
            "exportAccount",
            "beginReadableExport",
            "readForExport",
            "decryptFileForExport",
            "sealExportPart",
            "openExportPart",
            "sealUnsent",
            "importAccount",
            "eraseAccount",
            "listUses",
            "listUseEntries",
            "getCustody",
            "makeLocked",
            "makeManaged",
            "unlock",
            "lock",
            "addLockSecret",
            "removeLockSecret",
            "changePassphrase",
            "newRecoveryCode",
            "rotateDataKey",
            "beginPasskey",
            "addPasskey",
            "removePasskey",
            "passkeyChallenge",
            "confirmPasskey",
            "requirePasskey",
            "search",
        }
    ),
    "worker": frozenset(
        {
            "getStatus",
            "listDevices",
            "revokeDevice",
            "rotatePrekey",
            "renewCertificate",
            "sealDraft",
            "composeReceipt",
            "seal",
            "open",
            "read",
            "archive",
            "readArchive",
            "openExportPart",
            "openUnsent",
            "indexMessages",
            "forgetMessages",
            "emptyIndex",
            "getCustody",
            "rotateDataKey",
            "sealAgain",
            "listFormerDataKeys",
            "destroyDataKeys",
        }
    ),
}


@dataclass(frozen=True)
class Caller:
    """A verified token: who presented it, and its id, which must not have been seen before."""

    name: str
    token_id: str


def verify_token(authorization: str, secrets: Mapping[str, str], nsid: str, now_s: float) -> Caller:
    """The caller of the method ``nsid`` by its ``Authorization`` header, at ``now_s`` (seconds since 1970).

    ``secrets`` holds each caller's own. Raises AuthenticationRequired without a bearer token, and
    InvalidToken for one that is not HS256 under the secret of the caller that it names, with the
    claims ``iss``, ``aud``, ``lxm``, ``iat``, ``exp`` and ``jti`` in order.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise AuthenticationRequired("a bearer token is needed")
    caller, claims = _verified(token, secrets)
    if claims.get("aud") != AUDIENCE:
        raise InvalidToken("the token is for another audience")
    if claims.get("lxm") != nsid:
        raise InvalidToken("the token is for another method")
    _check_times(claims.get("iat"), claims.get("exp"), now_s)
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not 16 <= len(token_id) <= LONGEST_TOKEN_ID:
        raise InvalidToken("the token has no id")
    return Caller(caller, token_id)


def check_permitted(caller: str, method: str) -> None:
    """Raises NotPermitted if ``method`` (the last part of its NSID) is not among the caller's."""
    if method not in PERMITTED[caller]:
        raise NotPermitted(f"{caller} may not call {method}")


def _verified(token: str, secrets: Mapping[str, str]) -> tuple[str, Mapping[str, object]]:
    """The caller whom the token names and whose secret signed it, and its claims."""

    def secret_of_caller(signed: GuestProtocol) -> OctKey:
        caller = json.loads(signed.payload)["iss"] if isinstance(signed, CompactSignature) else ""
        return _key(secrets[caller])

    try:
        claims = jwt.decode(token, secret_of_caller, algorithms=["HS256"]).claims
        return str(claims["iss"]), claims
    except (JoseError, ValueError, KeyError, TypeError, RecursionError):
        raise InvalidToken("the token does not verify") from None


@cache
def _key(secret: str) -> OctKey:
    return OctKey.import_key(secret)


def _check_times(issued_at: object, expires_at: object, now_s: float) -> None:
    if type(issued_at) is not int or type(expires_at) is not int:
        raise InvalidToken("the token's times are not integers")
    if issued_at > now_s + CLOCK_SKEW_S:
        raise InvalidToken("the token is from the future")
    if not 0 < expires_at - issued_at <= LONGEST_LIFETIME_S:
        raise InvalidToken("the token lives too long")
    if expires_at <= now_s:
        raise InvalidToken("the token has expired")
