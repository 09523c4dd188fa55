"""The pages that show people how their own keys were used, from the agent's audit log."""

import logging
from itertools import groupby
from typing import cast, get_args
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts import failures, use_words
from accounts.agent import agent
from accounts.models import Account
from accounts.sessions import account_of, signed_in
from crypto_agent.client import AgentError, KeyUses, Shown, UseGroups, Uses

logger = logging.getLogger(__name__)

#: As long as any number in the audit log.
_LONGEST_NUMBER = 15
_LONGEST_NAME = 64


@never_cache
@require_GET
@signed_in
def uses(request: HttpRequest) -> HttpResponse:
    """Lists how the account's keys were used, a page at a time.

    Template context: ``days`` list of (date, list of use_words.UseLine) newest first, ``alarms`` list of
    crypto_agent.client.Alarm, ``show`` which uses, ``cursor`` of the next page or None, ``later`` whether
    this is a later page, ``known`` whether the agent answered, ``error`` a sentence or "".
    """
    account = _account(request)
    chosen = request.GET.get("show", "all")
    show = cast(Shown, chosen) if chosen in get_args(Shown) else "all"
    cursor = request.GET.get("before", "")
    cursor = cursor if _is_number(cursor) else ""
    error, found = "", KeyUses(UseGroups([], None), [])
    try:
        found = agent().list_uses(
            account.did, show=show, cursor=cursor or None, time_zone=str(timezone.get_current_timezone())
        )
    except AgentError as failure:
        logger.warning("the uses of account %s could not be listed: %s", account.pk, failure.code)
        error = failures.sentence(failure)
    lines = [use_words.line(group) for group in found.page.groups]
    context = {
        "days": [(day, list(group)) for day, group in groupby(lines, lambda line: line.group.day)],
        "alarms": found.alarms,
        "show": show,
        "cursor": found.page.cursor,
        "later": bool(cursor),
        "known": not error,
        "error": error,
    }
    return render(request, "accounts/uses.html", context, status=503 if error else 200)


@never_cache
@require_GET
@signed_in
def use_entries(request: HttpRequest) -> HttpResponse:
    """The lines of the audit log behind one group of ``uses``.

    Template context: ``what`` was done, ``names`` its caller, purpose and outcome, ``uses`` list of
    crypto_agent.client.Use, ``next_query`` for the next page or "", ``error`` a sentence or "".
    """
    account = _account(request)
    names = {name: request.GET.get(name, "") for name in ("caller", "purpose", "outcome")}
    numbers = {name: request.GET.get(name, "") for name in ("oldest", "newest")}
    if not all(0 < len(name.encode(errors="replace")) <= _LONGEST_NAME for name in names.values()):
        raise Http404
    if not all(map(_is_number, numbers.values())):
        raise Http404
    error, found = "", Uses([], None)
    try:
        found = agent().list_use_entries(
            account.did,
            caller=names["caller"],
            purpose=names["purpose"],
            outcome=names["outcome"],
            oldest=int(numbers["oldest"]),
            newest=int(numbers["newest"]),
        )
    except AgentError as failure:
        logger.warning("the uses of account %s could not be listed: %s", account.pk, failure.code)
        error = failures.sentence(failure)
    context = {
        "what": use_words.what(names["purpose"]),
        "names": names,
        "uses": found.uses,
        "next_query": urlencode({**names, "oldest": numbers["oldest"], "newest": found.next_newest})
        if found.next_newest
        else "",
        "error": error,
    }
    return render(request, "accounts/use_entries.html", context, status=503 if error else 200)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


def _account(request: HttpRequest) -> Account:
    account = account_of(request)
    assert account is not None
    return account
