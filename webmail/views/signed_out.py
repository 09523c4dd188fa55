"""What somebody wrote on a page whose sign-in has ended meanwhile is not lost."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

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
