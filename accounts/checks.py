"""Settings that would make sign-in fail later are refused at the start."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register
def check_settings(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    url = urlsplit(settings.PUBLIC_URL)
    if url.scheme == "http" and url.hostname not in ("127.0.0.1", "::1"):
        found.append(
            Error(
                "WAXWING_PUBLIC_URL with http must be on 127.0.0.1 or [::1].",
                hint="Only these two are accepted for coming back over plain http (RFC 8252 §7.3).",
                id="accounts.E001",
            )
        )
    if url.scheme == "https" and not settings.OAUTH_CLIENT_KEY_FILE:
        found.append(
            Error(
                "WAXWING_OAUTH_CLIENT_KEY_PATH is missing.",
                hint="An https installation signs in as a confidential client with a P-256 key (PEM).",
                id="accounts.E002",
            )
        )
    if settings.NETWORK not in ("live", "loopback"):
        found.append(Error('WAXWING_NETWORK must be "live" or "loopback".', id="accounts.E003"))
    return found
