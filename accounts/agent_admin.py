"""What administrators see of the key agent: whether it is open, its keys, and the alarms that it raised."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts import failures
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError


def agent_status(request: HttpRequest) -> HttpResponse:
    """The agent's state, what of its keys is late, and its newest alarms; for administrators who may see
    accounts.

    Template context: ``status`` (crypto_agent.client.AgentStatus or None), ``keys``
    (crypto_agent.client.KeyStatus or None), ``alarms`` list of (crypto_agent.client.Alarm,
    accounts.models.Account or None), ``error`` a sentence or "".
    """
    if not request.user.has_perm("accounts.view_account"):
        raise PermissionDenied
    status, keys, alarms, error = None, None, [], ""
    try:
        status = agent().status()
        alarms = agent().list_alarms()
        keys = agent().key_status()
    except AgentError as failure:
        error = failures.sentence(failure)
    accounts = {account.did: account for account in Account.objects.filter(did__in=[a.did for a in alarms])}
    context = {
        **admin.site.each_context(request),
        "title": "Key agent",
        "status": status,
        "keys": keys,
        "alarms": [(alarm, accounts.get(alarm.did or "")) for alarm in alarms],
        "error": error,
    }
    return TemplateResponse(request, "admin/agent.html", context)
