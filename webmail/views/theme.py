"""Light or dark, or as the system is."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

A_YEAR = 365 * 24 * 60 * 60


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Keep the choice in a cookie that templates/base.html reads, and go back."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = "/"
    answer = redirect(back)
    if request.POST.get("theme") in ("light", "dark"):
        # Readable by the page's script, which makes the same choice without loading the page again.
        answer.set_cookie(
            "theme", request.POST["theme"], max_age=A_YEAR, samesite="Lax", secure=settings.SECURE
        )
    elif request.POST.get("theme") == "system":
        answer.delete_cookie("theme", samesite="Lax")
    return answer
