"""The list of conversations."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware
from django.views.decorators.http import require_safe

from accounts.sessions import signed_in
from webmail import kept_aside
from webmail.conversations import Filter, list_conversations
from webmail.views.requests import PageRequest


@require_safe
@signed_in
def inbox(request: PageRequest) -> HttpResponse:
    """The list, and an empty pane beside it."""
    return render(request, "webmail/inbox.html", list_context(request))


@require_safe
@signed_in
def rows(request: PageRequest) -> HttpResponse:
    """The list alone, for pages that are open."""
    context = list_context(request) | {"open_id": request.GET.get("open", "")}
    return render(request, "webmail/_rows.html", context)


def list_context(request: PageRequest) -> dict[str, Any]:
    """What webmail/_list.html shows."""
    chosen: Filter = "unread" if request.GET.get("filter") == "unread" else "all"
    before = _moment(request.GET.get("older_than", ""))
    found = list_conversations(request.account, filter=chosen, before=before)
    return {
        "list": found,
        "filter": chosen,
        "older_than": before,
        "kept_count": kept_aside.count(request.account),
    }


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
        return moment.astimezone(UTC) if moment and is_aware(moment) else None
    except (ValueError, OverflowError):
        return None
