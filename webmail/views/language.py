"""The language of the pages."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_safe


@require_safe
def languages(request: HttpRequest) -> HttpResponse:
    """One button for each; without a choice the browser's own languages decide."""
    back = request.GET.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = "/"
    return render(request, "webmail/languages.html", {"languages": settings.LANGUAGES, "back": back})
