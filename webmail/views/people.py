"""One person: who they are, where they are reached, and blocking them."""

import re
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import handles
from accounts.sessions import signed_in
from webmail import blocking, known_people, person_page
from webmail.people import people_of
from webmail.views.page_request import PageRequest
from webmail.views.requests_page import way_back

_HEX = re.compile("[0-9a-f]{2,128}", re.ASCII)


@require_safe
@signed_in
def person(request: PageRequest, did: str) -> HttpResponse:
    """Who somebody is, as far as it is known; with `show=aside` also what they wrote while blocked."""
    context = _context(request, did)
    if request.method == "GET" and (aside := context["page"].aside):
        read = [message.id for message in aside if not message.shut]
        blocking.looked_at(request.account, context["page"].facts.person.did, read, now=timezone.now())
    return render(request, "webmail/person.html", context)


@require_POST
@signed_in
def block(request: PageRequest, did: str) -> HttpResponse:
    """Block or unblock somebody."""
    found = did_of_page(request, did)
    name = {"name": people_of([found])[found].name}
    if request.POST.get("do") == "unblock":
        blocking.unblock(request.account, found)
        messages.success(request, _("You no longer block %(name)s.") % name)
    else:
        blocking.block(request.account, found, timezone.now())
        messages.success(request, _("You blocked %(name)s. They are not told.") % name)
    if request.POST.get("next") == "blocked":
        return redirect("blocked")
    return redirect("person", found)


@require_http_methods(["GET", "HEAD"])
@signed_in
def blocked(request: PageRequest) -> HttpResponse:
    """Everybody whom the account blocks."""
    context = {
        "blocked": blocking.blocked_people(request.account),
        "addresses": request.account.blocked_addresses.all(),
        "said": messages.get_messages(request),
    }
    return render(request, "webmail/blocked.html", context)


@require_POST
@signed_in
def likeness(request: PageRequest, did: str) -> HttpResponse:
    """Put away that somebody reads like somebody else."""
    known_people.put_away(request.account, did_of_page(request, did), request.POST.get("likeness", ""))
    if request.htmx:
        return HttpResponse()
    back = request.POST.get("next", "")
    return redirect("conversation", back) if _HEX.fullmatch(back) else redirect("person", did)


def _context(request: PageRequest, did: str) -> dict[str, Any]:
    found = did_of_page(request, did)
    return {
        "page": person_page.person_page(
            request.account, found, show_aside=request.GET.get("show") == "aside"
        ),
        "said": messages.get_messages(request),
        "way_back": way_back(request),
    }


def did_of_page(request: PageRequest, did: str) -> str:
    """The DID of an address of a page, if the account may know anything of it. Raises Http404."""
    # A colon in a did:web is a port's, which is written %3A; the path's decoding has undone that.
    method, _colon, rest = did.removeprefix("did:").partition(":")
    name = f"did:web:{rest.replace(':', '%3A')}" if method == "web" else did
    if not (handles.is_did(name) or person_page.is_known(request.account, name)):
        raise Http404
    return name
