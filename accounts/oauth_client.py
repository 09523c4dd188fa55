"""What this installation says of itself to authorization servers (atproto "OAuth" specification, "Clients").

With an http PUBLIC_URL it is a public loopback client, whose client id carries all there is to know. With
an https PUBLIC_URL it is a confidential client, known by the metadata it serves, and proves itself with the
key in OAUTH_CLIENT_KEY_FILE (private_key_jwt, RFC 7523, ES256).
"""

import functools
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from joserfc import jwt
from joserfc.jwk import ECKey

#: The collections that sign-in asks to write; everything else in the repository stays out of reach.
COLLECTIONS = ("at.atsms.x509", "at.atsms.prekey", "at.atsms.inbox")
SCOPES = ("atproto", *(f"repo:{collection}" for collection in COLLECTIONS))
SCOPE = " ".join(SCOPES)

CALLBACK_PATH = "/oauth/callback"
METADATA_PATH = "/oauth/client-metadata.json"
JWKS_PATH = "/oauth/jwks.json"

ASSERTION_SECONDS = 60

#: Where authorization servers let a browser come back over plain http (RFC 8252 §7.3).
LOOPBACK_NUMBERS = ("127.0.0.1", "::1")


def is_confidential() -> bool:
    return bool(settings.PUBLIC_URL.startswith("https://"))


def redirect_uri() -> str:
    """Where browsers come back to: for an installation at localhost, its number (see canonical_host.py)."""
    url = urlsplit(settings.PUBLIC_URL)
    if url.scheme == "http" and url.hostname == "localhost":
        port = f":{url.port}" if url.port else ""
        return f"http://{LOOPBACK_NUMBERS[0]}{port}{CALLBACK_PATH}"
    return f"{settings.PUBLIC_URL}{CALLBACK_PATH}"


def client_id() -> str:
    if is_confidential():
        return f"{settings.PUBLIC_URL}{METADATA_PATH}"
    return "http://localhost?" + urlencode({"redirect_uri": redirect_uri(), "scope": SCOPE})


def metadata() -> dict[str, Any]:
    """The client metadata document of a confidential client (RFC 7591 names)."""
    return {
        "client_id": client_id(),
        "client_name": "Waxwing",
        "client_uri": settings.PUBLIC_URL,
        "application_type": "web",
        "redirect_uris": [redirect_uri()],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": SCOPE,
        "dpop_bound_access_tokens": True,
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks_uri": f"{settings.PUBLIC_URL}{JWKS_PATH}",
    }


def jwks() -> dict[str, Any]:
    """The public half of the client's key as a JWK set."""
    key = _client_key(settings.OAUTH_CLIENT_KEY_FILE)
    return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": "ES256"}]}


def authentication(issuer: str, now: int) -> dict[str, str]:
    """Form fields by which a request to ``issuer`` says who asks. ``now`` is in seconds since the epoch."""
    if not is_confidential():
        return {"client_id": client_id()}
    key = _client_key(settings.OAUTH_CLIENT_KEY_FILE)
    claims = {
        "iss": client_id(),
        "sub": client_id(),
        "aud": issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
    }
    return {
        "client_id": client_id(),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key),
    }


def server_name(issuer: str) -> str:
    """What a person calls a server: its host, with a port if that is unusual."""
    return urlsplit(issuer).netloc


@functools.cache
def _client_key(path: str) -> ECKey:
    key = ECKey.import_key(Path(path).read_bytes())
    key.ensure_kid()
    return key
