"""What somebody wrote on a page whose sign-in has ended meanwhile is not lost."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

#: What a form of ours may hold beside its text.
_CARRIED_ON = (
    *("token", "to", "file", "draft", "writer", "revision", "in_reply_to", "topic", "page", "preview", "do"),
    *("quote", "from", "tell", "begins", "at", "when", "q"),
)
_MOST_FIELDS = 200


def page_that_stays(request: HttpRequest) -> HttpResponse:
    """401: scripts leave the page as it is and say so; without script, what was written is shown again.

    It goes nowhere meanwhile: nobody is there for whom it could be kept.
    """
    if request.headers.get("HX-Request") == "true" or request.headers.get("Accept") == "application/json":
        return HttpResponse(status=401)
    fields = [
        (name, value)
        for name in request.POST
        if name in _CARRIED_ON or name.startswith("name-")
        for value in request.POST.getlist(name)
    ]
    context = {
        "text": request.POST.get("text", ""),
        "fields": fields[:_MOST_FIELDS],
        "action": request.path,
        "files_lost": any(file.name for file in request.FILES.getlist("files")),
    }
    return render(request, "webmail/signed_out.html", context, status=401)


def told_to_script(request: HttpRequest) -> HttpResponse:
    """401 with ``error``, a sentence, for a script that would take the sign-in page for what it asked for;
    else to that page, and from there back to what can be asked for again."""
    if request.headers.get("Accept") == "application/json":
        sentence = _("You are signed out here. Sign in in another tab, then try again.")
        return JsonResponse({"error": sentence, "code": "signed-out"}, status=401)
    if request.method == "POST":
        return redirect("sign-in")
    return to_sign_in(request)


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in, and from there back to this page."""
    return redirect(f"{reverse('sign-in')}?{urlencode({'next': request.get_full_path()})}")
