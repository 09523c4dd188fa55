"""The step-up: where an account requires its passkey, dangerous steps are done only with it.

A PDS can sign in as any of its users, so that being signed in proves little. What the passkey confirms is one
purpose, once; neither a PDS nor a web process that was taken over can make that.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crypto_agent import passkeys
from crypto_agent.errors import StepUpRequired
from crypto_agent.models import AccountCustody
from crypto_agent.passkey_challenges import PasskeyPurpose


def is_required(did: str) -> bool:
    return AccountCustody.objects.filter(account__did=did, passkey_required=True).exists()


def check(did: str, purpose: PasskeyPurpose, assertion: Mapping[str, Any] | None, now: datetime) -> None:
    """Nothing where the account requires no passkey; else ``assertion`` has to be one for ``purpose``.

    ``assertion`` is the AuthenticationResponseJSON of the browser. Raises StepUpRequired, WrongPasskey.
    """
    if not is_required(did):
        return
    if assertion is None:
        raise StepUpRequired("this account asks for its passkey first")
    passkeys.verify(did, purpose, assertion, now)
