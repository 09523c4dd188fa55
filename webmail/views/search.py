"""The results of a search, beside or instead of the list of conversations."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.sessions import signed_in
from webmail.conversation_pages import cursor_in
from webmail.conversations import list_conversations
from webmail.searching import search
from webmail.views.inbox import list_context
from webmail.views.page_request import PageRequest

#: Conversations with somebody of the name that was typed, at a time.
MOST_CONVERSATIONS = 10


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def results(request: PageRequest) -> HttpResponse:
    """What was found for ``q``, conversations by who is in them and messages; for an open page that alone.

    What is searched for is content, so it is posted: an address is kept in histories and logs.
    """
    if request.method != "POST":
        return redirect("inbox")
    query, cursor = request.POST.get("q", ""), request.POST.get("cursor") or None
    found = search(request.account, query, cursor)
    context = {"results": found, "older": bool(cursor)}
    if found.query and not found.operators and not cursor:
        after = cursor_in(request.POST.get("people_after", ""))
        names = found.query.replace('"', " ")
        matching = list_conversations(
            request.account, filter="any", names=names, after=after, limit=MOST_CONVERSATIONS
        )
        context["matching"] = matching
        if after:
            return render(request, "webmail/_matching.html", context)
    if request.htmx:
        return render(request, "webmail/_search_results.html", context)
    return render(request, "webmail/inbox.html", list_context(request) | context)
