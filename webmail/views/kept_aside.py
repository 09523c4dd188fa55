"""What could not be opened or checked."""

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail import kept_aside
from webmail.conversations import NotFound
from webmail.views.requests import PageRequest


@require_safe
@signed_in
def kept(request: PageRequest) -> HttpResponse:
    """The list, each with its reason."""
    items = kept_aside.kept_aside(request.account)
    if request.htmx.target == "kept":
        return render(request, "webmail/_kept_list.html", {"items": items})
    return render(request, "webmail/kept_aside.html", {"items": items})


@require_POST
@signed_in
def retry(request: PageRequest, arrival_id: int) -> HttpResponse:
    """Have one tried again; the list hears of the outcome."""
    try:
        item = kept_aside.retry(request.account, arrival_id)
    except NotFound as error:
        raise Http404 from error
    if request.htmx:
        return render(request, "webmail/_kept.html", {"item": item})
    return redirect("kept-aside")
