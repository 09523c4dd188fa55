"""What a person may set for themselves, each on a page of its own."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.sessions import signed_in
from webmail.views.page_request import PageRequest


@require_safe
@signed_in
def settings_page(request: PageRequest) -> HttpResponse:
    """Leads to the pages."""
    return render(request, "webmail/settings.html")
