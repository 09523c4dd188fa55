"""The list of conversations."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from accounts.models import Account
from accounts.sessions import signed_in
from webmail import drafts
from webmail.conversation_pages import FILTERS, Filter, cursor_in
from webmail.conversations import PAGE, NotFound, find, list_conversations, only_archived
from webmail.draft_content import words
from webmail.known_list import mark_of, marked
from webmail.list_counts import list_counts
from webmail.people import people_of
from webmail.views.page_request import PageRequest

#: Rows that an open page has anew when something changed, however many it shows: each is opened for it again.
MOST_AT_ONCE = 120
#: Of the rows further down, those that somebody looks at.
MOST_IN_VIEW = 60

_IDS = re.compile("[0-9a-f]{2,128}", re.ASCII)


@dataclass(frozen=True)
class NewDraft:
    """A draft of a new conversation as the list shows it."""

    id: str
    time: datetime
    #: Of those chosen for it.
    names: str
    words: str


@require_safe
@signed_in
def inbox(request: PageRequest) -> HttpResponse:
    """The list, and an empty pane beside it; says of the conversation `archived` that it is."""
    return render(request, "webmail/inbox.html", list_context(request) | {"archived": _archived(request)})


def _archived(request: PageRequest) -> str | None:
    asked = request.GET.get("archived", "")
    if not _IDS.fullmatch(asked):
        return None
    try:
        found = find(request.account, asked)
    except NotFound:
        return None
    return found.conversation_id if found.archived_at and not found.left_at else None


@require_safe
@signed_in
def rows(request: PageRequest) -> HttpResponse:
    """The list alone, for pages that are open, with as many rows as are `shown` there, and those `in_view`
    further down, unless it is `known` as it is; with `more` its next rows."""
    open_one = {"open_id": request.GET.get("open", "")}
    if "more" in request.GET:
        return render(request, "webmail/_more_rows.html", _listed(request) | open_one)
    in_view = _IDS.findall(request.GET.get("in_view", ""))[:MOST_IN_VIEW]
    context = list_context(request, _limit(request.GET.get("shown", "")), in_view)
    listed = render_to_string("webmail/_rows.html", context | open_one, request)
    unread = context["counts"].unread
    if request.GET.get("known") == mark_of(listed, unread):
        return HttpResponse(status=204)
    count = render_to_string("webmail/_unread_count.html", {"counts": context["counts"], "swap": True})
    return HttpResponse(count + marked(listed, unread))


def _limit(shown: str) -> int:
    number = int(shown) if re.fullmatch("[0-9]{1,6}", shown, re.ASCII) else PAGE
    return min(max(number, PAGE), MOST_AT_ONCE)


def list_context(request: PageRequest, limit: int = PAGE, in_view: Sequence[str] = ()) -> dict[str, Any]:
    """What webmail/_list.html shows."""
    listed = _listed(request, limit, in_view)
    drafted = listed["filter"] == "all" and listed["list"].new_drafts
    nothing = not listed["list"].rows and listed["older_than"] is None
    return listed | {
        "only_archived": nothing and only_archived(request.account, listed["filter"]),
        "new_drafts": _new_drafts(request.account) if drafted else [],
        "counts": list_counts(request.account),
    }


def _listed(request: PageRequest, limit: int = PAGE, in_view: Sequence[str] = ()) -> dict[str, Any]:
    """The rows alone, and which of them were asked for."""
    chosen: Filter = next((each for each in FILTERS if each == request.GET.get("filter")), "all")
    after = cursor_in(request.GET.get("older_than", ""))
    found = list_conversations(request.account, filter=chosen, after=after, limit=limit, in_view=in_view)
    return {"list": found, "filter": chosen, "older_than": after}


def _new_drafts(account: Account) -> list[NewDraft]:
    found = drafts.of_new_conversations(account)
    people = people_of({did for _id, _time, content in found if content for did in content.people})
    return [
        NewDraft(
            id=draft_id,
            time=time,
            names=", ".join(people[did].name for did in content.people) if content else "",
            words=words(content),
        )
        for draft_id, time, content in found
    ]
