"""The short-lived token that opens one DID's mailbox on the IMAP server."""

from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

from .mailbox import MailboxError

ISSUER = "waxwing"
SCOPE = "mail"
LIFETIME = timedelta(minutes=5)
#: Mail servers refuse tokens from the future, and their clocks, or their idea of it, may be behind ours.
CLOCK_SKEW = timedelta(seconds=30)


def mailbox_token(key_file: str, name: str, *, now: datetime) -> str:
    """A JWT (RFC 7519, ES256) that lets its bearer into the mailbox `name` and no other for LIFETIME.

    `key_file` is the path of a PEM file with a P-256 private key. Raises MailboxError "refused" when it
    can't be read: then no mailbox can be opened at all, which is for the operator to mend.
    """
    issued = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "sub": name,
        "scope": SCOPE,
        "iat": issued - int(CLOCK_SKEW.total_seconds()),
        "exp": issued + int(LIFETIME.total_seconds()),
    }
    return jwt.encode({"alg": "ES256", "typ": "JWT"}, claims, _key(key_file))


@lru_cache(maxsize=4)
def _key(key_file: str) -> ECKey:
    try:
        return ECKey.import_key(Path(key_file).read_bytes())
    except (OSError, ValueError) as error:
        raise MailboxError("refused", "the key for mailbox tokens can't be read") from error
