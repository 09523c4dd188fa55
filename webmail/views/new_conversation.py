"""A new conversation: who gets it, and its first message."""

import json
from dataclasses import dataclass, field

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import people as directory
from accounts.identities import IdentityError
from accounts.sessions import signed_in
from webmail.outgoing import MAX_RECIPIENTS, CannotSend, send
from webmail.views.conversation import new_composer
from webmail.views.inbox import list_context
from webmail.views.requests import PageRequest


@dataclass
class Choice:
    """Who is chosen so far, what stands in the field, and what was found for it."""

    chosen: list[directory.Person] = field(default_factory=list)
    typed: str = ""
    found: directory.Person | None = None
    problem: str = ""

    @property
    def already(self) -> bool:
        return self.found is not None and self.found.did in {person.did for person in self.chosen}


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def new(request: PageRequest) -> HttpResponse:
    """The page. Its form works without script: each button posts all of it here."""
    if request.method != "POST":
        typed = request.GET.get("to", "")
        return _page(request, _found(request, Choice(typed=typed)) if typed else Choice())
    choice = _choice(request)
    if request.POST.get("do") != "send":
        return _page(request, choice, new_composer(text=request.POST.get("text", "")))
    if choice.problem:
        return _page(request, choice, new_composer(text=request.POST.get("text", "")), status=422)
    recipients = [person.did for person in choice.chosen]
    try:
        message = send(
            request.account, recipients, request.POST.get("text", ""), request.POST.get("token", "")
        )
    except CannotSend as error:
        composer = new_composer(text=request.POST.get("text", ""), error=error.sentence)
        return _page(request, choice, composer, status=422)
    return redirect("conversation", message.conversation.conversation_id)


@require_POST
@signed_in
def find(request: PageRequest) -> HttpResponse:
    """Who answers to what is being typed."""
    choice = Choice(chosen=_chosen(request), typed=request.POST.get("q", "").strip())
    if "." in choice.typed or ":" in choice.typed:
        # Anything else is the beginning of a handle, which is no mistake.
        choice = _found(request, choice)
    return render(request, "webmail/_found.html", _context(choice))


@require_POST
@signed_in
def people(request: PageRequest) -> HttpResponse:
    """The chosen people after one was added or removed."""
    choice = _choice(request)
    answer = render(request, "webmail/_chosen.html", _context(choice))
    if not choice.typed:
        # The field is emptied by the page, unless somebody has typed on in it meanwhile.
        answer["HX-Trigger"] = json.dumps({"person-added": {"typed": request.POST.get("q", "")}})
    return answer


def _choice(request: PageRequest) -> Choice:
    """What the form says, with the person whom its button adds or removes."""
    removed = request.POST.get("remove")
    choice = Choice(chosen=[person for person in _chosen(request) if person.did != removed])
    if removed:
        choice.typed = request.POST.get("q", "").strip()
        return choice
    choice.typed = request.POST.get("add", "") or request.POST.get("q", "").strip()
    return _with_found(_found(request, choice)) if choice.typed else choice


def _with_found(choice: Choice) -> Choice:
    """The person who was found among the chosen, if messages can reach them."""
    if choice.found is None or choice.found.reachability == "unreachable":
        return choice
    chosen = choice.chosen if choice.already else [*choice.chosen, choice.found]
    return Choice(chosen=chosen)


def _found(request: PageRequest, choice: Choice) -> Choice:
    try:
        choice.found = directory.look_up(choice.typed)
    except IdentityError as error:
        choice.problem = str(error)
        return choice
    if choice.found.did == request.account.did and choice.chosen:
        choice.problem, choice.found = _("You are in every conversation of yours already."), None
    elif len(choice.chosen) >= MAX_RECIPIENTS and not choice.already:
        choice.problem = _("A message can go to %(count)d people at most.") % {"count": MAX_RECIPIENTS}
        choice.found = None
    return choice


def _chosen(request: PageRequest) -> list[directory.Person]:
    dids = list(dict.fromkeys(request.POST.getlist("to")))[:MAX_RECIPIENTS]
    return [person for person in map(_known, dids) if person]


def _known(did: str) -> directory.Person | None:
    try:
        return directory.look_up(did)
    except IdentityError:
        return None


def _context(choice: Choice) -> dict[str, object]:
    return {
        "chosen": choice.chosen,
        "found": choice.found,
        "problem": choice.problem,
        "typed": choice.typed,
        "already": choice.already,
    }


def _page(
    request: PageRequest, choice: Choice, composer: dict[str, str] | None = None, *, status: int = 200
) -> HttpResponse:
    context = list_context(request) | _context(choice) | {"composer": composer or new_composer()}
    return render(request, "webmail/new_conversation.html", context, status=status)
