"""The list of keys, and what Enter does while somebody writes."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from accounts.sessions import signed_in
from webmail import enter_choices
from webmail.views.page_request import PageRequest


@require_safe
@signed_in
def keys(request: PageRequest) -> HttpResponse:
    """A page; for an open page the list alone, which it shows in a sheet."""
    inner = request.htmx.target == "keys-list"
    return render(request, "webmail/_keys.html" if inner else "webmail/keys.html")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def enter_key(request: PageRequest) -> HttpResponse:
    """The choice and its page."""
    refused = False
    if request.method == "POST":
        offered = {"line": False, "send": True}
        if (chosen := request.POST.get("enter", "")) in offered:
            enter_choices.choose(request.account, offered[chosen])
            return redirect(f"{reverse('enter-key')}?saved")
        refused = True
    context = {"saved": "saved" in request.GET and not refused, "refused": refused}
    return render(request, "webmail/enter_key.html", context, status=422 if refused else 200)
