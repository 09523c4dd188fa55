"""Settings that would make sign-in fail later are refused at the start."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from accounts.oauth_client import LOOPBACK_NUMBERS


@register
def check_settings(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    url = urlsplit(settings.PUBLIC_URL)
    if url.scheme == "http" and url.hostname not in ("localhost", *LOOPBACK_NUMBERS):
        found.append(
            Error(
                "WAXWING_PUBLIC_URL with http must be on localhost, 127.0.0.1 or [::1].",
                hint="Signing in comes back over plain http to this machine only (RFC 8252 §7.3). "
                "Passkeys need the name: localhost.",
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
    if settings.WHO_MAY_WRITE not in ("everyone", "followed", "written-to", "nobody"):
        found.append(
            Error(
                'WAXWING_WHO_MAY_WRITE must be "everyone", "followed", "written-to" or "nobody".',
                id="accounts.E004",
            )
        )
    if settings.ADMIN_SECOND_FACTOR not in ("required", "optional"):
        found.append(
            Error('WAXWING_ADMIN_SECOND_FACTOR must be "required" or "optional".', id="accounts.E005")
        )
    if settings.ADMIN_SECOND_FACTOR == "required" and _is_number(url.hostname or ""):
        found.append(
            Error(
                "WAXWING_ADMIN_SECOND_FACTOR cannot be required where WAXWING_PUBLIC_URL has a number.",
                hint="Passkeys need a name (WebAuthn refuses IP addresses).",
                id="accounts.E006",
            )
        )
    return found


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
