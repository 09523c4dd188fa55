"""Who asks a push service to wake a browser (VAPID, RFC 8292)."""

from __future__ import annotations

import functools
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

#: A token may be good for a day at most (RFC 8292 §2).
TOKEN_SECONDS = 12 * 60 * 60


def key() -> ECKey | None:
    """The installation's key, or None where the operator gave it none: then nobody is woken."""
    return _key_in(settings.PUSH_KEY_FILE) if settings.PUSH_KEY_FILE else None


def public_key(key: ECKey) -> str:
    """The key as browsers take it: the uncompressed point (65 bytes), in base64url (RFC 8292 §3.2)."""
    parts = key.as_dict(private=False)
    x, y = (urlsafe_b64decode(str(parts[name]).encode()) for name in ("x", "y"))
    return urlsafe_b64encode(b"\x04" + x + y).decode()


def authorization(endpoint: str, key: ECKey, contact: str, now_s: int) -> str:
    """The Authorization header for one push service.

    ``contact`` is a mailto or https address of the operator, ``now_s`` seconds since the epoch.
    """
    origin = urlsplit(endpoint)
    claims = {"aud": f"{origin.scheme}://{origin.netloc}", "exp": now_s + TOKEN_SECONDS, "sub": contact}
    token = jwt.encode({"alg": "ES256", "typ": "JWT"}, claims, key)
    return f"vapid t={token}, k={public_key(key)}"


def contact() -> str:
    """Where push services can reach the operator."""
    return settings.PUBLIC_URL if settings.SECURE else f"mailto:postmaster@{settings.MAIL_DOMAIN}"


@functools.cache
def _key_in(path: str) -> ECKey:
    return ECKey.import_key(Path(path).read_bytes())
