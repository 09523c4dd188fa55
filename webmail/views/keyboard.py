"""The list of keys."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.sessions import signed_in
from webmail.views.page_request import PageRequest


@require_safe
@signed_in
def keys(request: PageRequest) -> HttpResponse:
    """A page; for an open page the list alone, which it shows in a sheet."""
    inner = request.htmx.target == "keys-list"
    return render(request, "webmail/_keys.html" if inner else "webmail/keys.html")
