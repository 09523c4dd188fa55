"""DPoP (RFC 9449): requests bound to a key that never leaves this installation, with the server's nonces."""

import base64
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

MAX_ORIGINS = 1000


class _Nonces:
    """The latest nonce of each origin; resource and authorization servers have their own."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, origin: str) -> str | None:
        with self._lock:
            return self._latest.get(origin)

    def put(self, origin: str, nonce: str) -> None:
        with self._lock:
            self._latest[origin] = nonce
            self._latest.move_to_end(origin)
            if len(self._latest) > MAX_ORIGINS:
                self._latest.popitem(last=False)


_nonces = _Nonces()


def new_key() -> ECKey:
    return ECKey.generate_key("P-256")


def send(
    client: httpx.Client, key: ECKey, method: str, url: str, *, access_token: str | None = None, **kwargs: Any
) -> httpx.Response:
    """A request with a DPoP proof by ``key``, sent once more when the server wants another nonce.

    With ``access_token`` it goes to a resource server, without one to an authorization server; they ask for a
    nonce in different ways (RFC 9449 §8 and §9). Raises httpx.HTTPError.
    """
    headers = dict(kwargs.pop("headers", None) or {})
    if access_token is not None:
        headers["Authorization"] = f"DPoP {access_token}"
    origin = _origin(url)
    for attempt in (1, 2):
        sent_nonce = _nonces.get(origin)
        headers["DPoP"] = _proof(key, method, url, access_token, sent_nonce)
        response = client.request(method, url, headers=headers, **kwargs)
        nonce = response.headers.get("dpop-nonce")
        if nonce:
            _nonces.put(origin, nonce)
        if attempt == 2 or not nonce or nonce == sent_nonce or not _wants_nonce(response):
            break
    return response


def _wants_nonce(response: httpx.Response) -> bool:
    if response.status_code == 401:
        return "use_dpop_nonce" in response.headers.get("www-authenticate", "")
    if response.status_code == 400:
        try:
            return bool(response.json().get("error") == "use_dpop_nonce")
        except (ValueError, AttributeError):
            return False
    return False


def _proof(key: ECKey, method: str, url: str, access_token: str | None, nonce: str | None) -> str:
    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": f"{_origin(url)}{urlsplit(url).path}",
        "iat": int(time.time()),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        digest = hashlib.sha256(access_token.encode()).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
