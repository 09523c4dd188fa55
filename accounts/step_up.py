"""Dangerous steps of an account that requires its passkey: the form asks for it once more.

In a form: ``{% include "accounts/_step_up.html" with purpose="export" %}``, with the purpose of
crypto_agent's passkey challenges; it shows nothing for an account that requires no passkey. In the view:
``assertion=step_up.assertion_of(request)`` with the call of the agent, and ``step_up.note(account, error)``
for the AgentError it may raise, before the page is shown again with ``failures.sentence(error)``.
"""

from typing import Any

from django.http import HttpRequest

from accounts.models import Account
from accounts.passkey_fields import NoPasskey, credential_in
from crypto_agent.client import AgentError

FIELD = "assertion"


def assertion_of(request: HttpRequest) -> dict[str, Any] | None:
    """The passkey's answer in the form, for the agent to verify; None where there is none."""
    try:
        return credential_in(request.POST.get(FIELD, ""))
    except NoPasskey:
        return None


def note(account: Account, error: Exception) -> None:
    """Remembers that the account requires its passkey, so that the form asks for it the next time."""
    if isinstance(error, AgentError) and error.code == "StepUpRequired" and not account.passkey_required:
        account.passkey_required = True
        account.save(update_fields=["passkey_required"])
