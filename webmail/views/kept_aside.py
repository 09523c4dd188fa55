"""What could not be opened or checked."""

import re

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail import another_copy, kept_aside
from webmail.another_copy import CannotAsk
from webmail.conversations import NotFound
from webmail.outgoing import CannotSend
from webmail.views.page_request import PageRequest

_KEY = re.compile("[0-9]{1,18}", re.ASCII)


@require_safe
@signed_in
def kept(request: PageRequest) -> HttpResponse:
    """The list, each with its reason; with `before` those that were kept aside before one of them, with
    `show=put-away` those that were put away, with `moved` the one that was put away last."""
    put_away = request.GET.get("show") == "put-away"
    text = request.GET.get("before", "")
    before = int(text) if _KEY.fullmatch(text) else None
    items = kept_aside.kept_aside(
        request.account, put_away=put_away, before=before, limit=kept_aside.PAGE + 1
    )
    partial = request.htmx.target == "kept"
    more, items = len(items) > kept_aside.PAGE, items[: kept_aside.PAGE]
    context = {
        "items": items,
        "said": [] if partial else messages.get_messages(request),
        "moved": _just_put_away(request),
        "people": another_copy.who_can_be_asked(request.account),
        "put_away": put_away,
        "count_put_away": kept_aside.count_put_away(request.account),
        "before": before,
        "older": items[-1].id if more else None,
    }
    return render(request, "webmail/_kept_list.html" if partial else "webmail/kept_aside.html", context)


@require_POST
@signed_in
def retry(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Have one tried again; the list hears of the outcome."""
    try:
        item = kept_aside.retry(request.account, arrival_id)
    except NotFound as error:
        raise Http404 from error
    if request.htmx:
        return _one(request, item)
    return redirect("kept-aside")


@require_POST
@signed_in
def put_away(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Put one away, or back among the others; one line says so, from which it can be undone."""
    back = request.POST.get("do") in ("put-back", "undo")
    try:
        item = kept_aside.put_away(request.account, arrival_id, now=None if back else timezone.now())
    except NotFound as error:
        raise Http404 from error
    if not request.htmx:
        page = reverse("kept-aside")
        return redirect(page if back else f"{page}?moved={item.id}")
    # Something else may have become of it meanwhile, such as that it was opened.
    if request.POST.get("do") == "undo" or item.put_away == back:
        return _one(request, item)
    return render(request, "webmail/_kept_moved.html", {"item": item})


@require_POST
@signed_in
def ask(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Ask somebody for another copy of one."""
    try:
        arrival = another_copy.ask(
            request.account, arrival_id, request.POST.get("who", ""), now=timezone.now()
        )
    except NotFound as error:
        raise Http404 from error
    except (CannotAsk, CannotSend) as error:
        found = kept_aside.find(request.account, arrival_id)
        return _one(request, found, problem=error.sentence, status=422)
    if request.htmx:
        return _one(request, kept_aside.kept(arrival))
    return redirect("kept-aside")


def _just_put_away(request: PageRequest) -> kept_aside.KeptAside | None:
    text = request.GET.get("moved", "")
    if not _KEY.fullmatch(text):
        return None
    try:
        item = kept_aside.find(request.account, int(text))
    except NotFound:
        return None
    return item if item.put_away else None


def _one(
    request: PageRequest, item: kept_aside.KeptAside, *, problem: str = "", status: int = 200
) -> HttpResponse:
    """The card of one; without script a page of it alone."""
    context = {
        "item": item,
        "items": [item],
        "people": another_copy.who_can_be_asked(request.account),
        "problem": problem,
    }
    template = "webmail/_kept.html" if request.htmx else "webmail/kept_aside.html"
    return render(request, template, context, status=status)
