"""What a form's hidden fields say that static/passkeys.js filled."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from crypto_agent.client import PasskeyUse

#: The longest answer of a passkey that is read; they are far below it.
LONGEST = 32_768
PRF_BYTES = 32


class NoPasskey(Exception):
    """The field holds no answer of a passkey: no script ran, or it holds something else."""


def credential_in(text: str) -> dict[str, Any]:
    """The PublicKeyCredential in JSON, as the agent verifies it. Raises NoPasskey."""
    credential = _answer(text).get("credential")
    if not isinstance(credential, dict):
        raise NoPasskey
    return credential


def passkey_use_in(text: str) -> PasskeyUse:
    """The credential and, where the passkey gave one, the PRF's result. Raises NoPasskey."""
    answer = _answer(text)
    prf = answer.get("prf")
    return PasskeyUse(credential_in(text), _prf(prf) if isinstance(prf, str) else None)


def _answer(text: str) -> Mapping[str, Any]:
    if not text or len(text) > LONGEST:
        raise NoPasskey
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoPasskey from error
    if not isinstance(found, dict):
        raise NoPasskey
    return found


def _prf(text: str) -> bytes:
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise NoPasskey from error
    if len(value) != PRF_BYTES:
        raise NoPasskey
    return value
