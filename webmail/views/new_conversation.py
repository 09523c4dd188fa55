"""A new conversation: who gets it, and its first message."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts import people as directory
from accounts import rate_limits
from accounts.identities import IdentityError
from accounts.models import Account
from accounts.profiles import clean_name
from accounts.rate_limits import TooOften
from accounts.sessions import signed_in
from webmail import consent, disappearing, drafts, forwarding, sending_times, threads
from webmail.blobs.attaching import CannotAttach
from webmail.blobs.fetching import MessageFile
from webmail.conversations import NotFound, others_in, row, with_people
from webmail.conversations import find as find_conversation
from webmail.draft_content import DraftContent
from webmail.draft_places import DraftOnPage, DraftPlace
from webmail.drafts import OpenDraft
from webmail.finding_people import Suggestion, is_called
from webmail.going_on import goes_on_words, may_be_named
from webmail.groups import LONGEST_NAME
from webmail.identity_facts import facts_of
from webmail.known_people import likenesses
from webmail.models import Conversation
from webmail.outgoing import MAX_RECIPIENTS, CannotSend
from webmail.previews import choices as preview_choices
from webmail.uploads import attach_all
from webmail.views import previews
from webmail.views.conversation import new_composer, with_draft
from webmail.views.draft_on_page import carried_on, draft_on_page
from webmail.views.handing_in import GoingOn, hand_in, handed_in_before, place_of
from webmail.views.inbox import list_context
from webmail.views.looking_up import (
    CHOSEN_SECONDS,
    answering_to,
    begins_known,
    is_whole,
    known_people,
    look_up_again,
)
from webmail.views.page_request import PageRequest
from webmail.views.signed_out import page_that_stays, to_sign_in


def _when_signed_out(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return page_that_stays(request)
    return to_sign_in(request)


@dataclass
class Choice:
    """Who is chosen so far, what stands in the field, what was found for it, and who else may be meant."""

    chosen: list[directory.Person] = field(default_factory=list)
    typed: str = ""
    found: directory.Person | None = None
    problem: str = ""
    suggested: list[Suggestion] = field(default_factory=list)
    #: What is said while the name that is typed is nobody's.
    nobody: str = ""
    #: Set where too many people were looked up for now; ``problem`` says so.
    too_often: TooOften | None = None

    def stop(self, error: TooOften) -> None:
        """Nobody is looked up for now; what was written stays."""
        self.too_often, self.problem = error, rate_limits.too_many_people(error)

    @property
    def already(self) -> bool:
        return self.found is not None and self.found.did in self.chosen_dids

    @property
    def chosen_dids(self) -> set[str]:
        return {person.did for person in self.chosen}


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in(when_signed_out=_when_signed_out)
def new(request: PageRequest) -> HttpResponse:
    """The page. Its form works without script: each button posts all of it here."""
    if request.method != "POST":
        typed = request.GET.get("to", "")
        if (draft := _draft_of(request)) is not None:
            return _page_of(request, draft)
        if former := _former(request.account, request.GET.get("from", "")):
            kept = [did for did in others_in(request.account, former) if did != request.GET.get("without")]
            chosen = directory.look_up_all(kept, seconds=CHOSEN_SECONDS)
            return _page(request, Choice(chosen=chosen))
        return _page(request, _found(request, Choice(typed=typed), typed) if typed else Choice())
    text = request.POST.get("text", "")
    if before := handed_in_before(request):
        return redirect("conversation", before.conversation.conversation_id)
    choice, files = _choice(request), attach_all(request, request.account)
    is_sending = _is_sending(request)
    if is_sending and not choice.problem:
        choice.problem = _not_found(choice.chosen)
    if choice.problem or not is_sending:
        error = files.problem.sentence if files.problem else ""
        composer = new_composer(text=text, error=error, files=files.shown)
        asked = request.POST.get("do") in (previews.ADD, previews.REMOVE)
        about = previews.previewed(request) if asked else {"card": previews.card_in_form(request)}
        return _page(request, choice, composer | about, status=422 if is_sending else 200)
    recipients = [person.did for person in choice.chosen]
    forwarded = _forwarded(request)
    try:
        if forwarded is not None:
            token, now = request.POST.get("token", ""), timezone.now()
            sent = forwarding.forward_to(request.account, forwarded.entry.id, recipients, token, now=now)
            page = reverse("conversation", args=[sent.conversation.conversation_id])
            return redirect(page + place_of(sent))
        message = hand_in(
            request,
            recipients,
            files,
            expires=disappearing.chosen(with_people(request.account, recipients)),
            on_page=_draft_on_page(request),
            going_on=_going_on(request, recipients),
            group_name=_group_name(request, recipients),
        )
    except (CannotSend, CannotAttach) as error:
        composer = new_composer(text=text, error=error.sentence, files=files.shown)
        card = previews.card_in_form(request)
        return _page(request, choice, composer | {"card": card}, status=422)
    return redirect("conversation", message.conversation.conversation_id)


def _draft_of(request: PageRequest) -> OpenDraft | None:
    """The draft that the address names."""
    draft_id = request.GET.get("draft", "")
    return (
        drafts.at(request.account, DraftPlace(draft_id=draft_id))
        if drafts.DRAFT_ID.fullmatch(draft_id)
        else None
    )


def _draft_on_page(request: PageRequest) -> DraftOnPage | None:
    """The draft that the form names, if it names one."""
    draft_id = request.POST.get("draft", "")
    if not drafts.DRAFT_ID.fullmatch(draft_id):
        return None
    return draft_on_page(request, DraftPlace(draft_id=draft_id))


@dataclass
class Forwarded:
    """What is passed on in place of a text, the files that do not go with it, and why it can't go at all."""

    entry: threads.Entry
    gone: list[MessageFile]
    problem: str = ""


def _forwarded(request: PageRequest) -> Forwarded | None:
    """The message that the form or the address passes on, if it names one. Raises Http404."""
    asked = request.POST if request.method == "POST" else request.GET
    message_id = asked.get("forward", "")
    if not message_id.isalnum():
        return None
    try:
        entry, gone, problem = threads.entry(request.account, message_id), list[MessageFile](), ""
        try:
            gone = forwarding.passable(request.account, message_id, now=timezone.now()).gone
        except CannotSend as error:
            problem = error.sentence
    except NotFound as error:
        raise Http404 from error
    return Forwarded(entry, gone, problem)


def _former(account: Account, conversation_id: str) -> Conversation | None:
    """The conversation that goes on with other people, if the form or the address names one."""
    try:
        return find_conversation(account, conversation_id) if conversation_id.isalnum() else None
    except NotFound:
        return None


def _going_on(request: PageRequest, recipients: Sequence[str]) -> GoingOn | None:
    """Which conversation goes on with those who were chosen, if they are others than were in it."""
    former = _former(request.account, request.POST.get("from", ""))
    there = sorted({request.account.did, *recipients})
    if former is None or former.participants == there:
        return None
    words = goes_on_words(former.participants, there) if request.POST.get("tell") else ""
    return GoingOn(former, words)


def _group_name(request: PageRequest, recipients: Sequence[str]) -> str:
    """What the form calls those who were chosen, if they are a group without a name."""
    name = clean_name(request.POST.get("group_name", ""))
    return name if name and may_be_named(request.account, recipients) else ""


@require_POST
@signed_in
def find(request: PageRequest) -> HttpResponse:
    """Who is called what is being typed, of those whom the account knows, or answers to it as a handle."""
    choice = _chosen(request)
    choice.typed = request.POST.get("q", "").strip()
    if choice.too_often is None:
        choice = _looked_for(request, choice)
    status = 422 if choice.too_often else 200
    return render(request, "webmail/_looked_for.html", _context(request, choice), status=status)


def _looked_for(request: PageRequest, choice: Choice) -> Choice:
    whole = is_whole(choice.typed)
    try:
        choice.suggested = known_people(request.account, choice.typed, choice.chosen_dids)
    except TooOften as error:
        # Who is typed in whole needs no suggestion.
        if not whole:
            choice.stop(error)
    # Anything else is a name, or the beginning of a handle: that it is nobody's yet is no mistake.
    if not whole and choice.typed and not choice.suggested and not choice.problem:
        choice.nobody = _called_by_nobody(choice)
    handles = [each.person.handle for each in choice.suggested]
    is_asked_for = whole and not begins_known(choice.typed, handles)
    return _found(request, choice, choice.typed) if is_asked_for else choice


@require_POST
@signed_in
def people(request: PageRequest) -> HttpResponse:
    """The chosen people after one was added or removed."""
    choice = _choice(request)
    status = 422 if choice.too_often else 200
    answer = render(request, "webmail/_chosen.html", _context(request, choice), status=status)
    if not choice.typed and not choice.too_often:
        # The field is emptied by the page, unless somebody has typed on in it meanwhile.
        answer["HX-Trigger"] = json.dumps({"person-added": {"typed": request.POST.get("q", "")}})
    return answer


def _choice(request: PageRequest) -> Choice:
    """What the form says, with the person whom its button adds or removes. That too many were looked up is a
    problem of the form, which keeps what was written."""
    choice = _chosen(request)
    choice.typed = request.POST.get("q", "").strip()
    wanted = request.POST.get("add", "") or choice.typed
    if choice.too_often or request.POST.get("remove") or not wanted:
        return choice
    if is_whole(wanted):
        return _with_found(request.account, _found(request, choice, wanted))
    return _by_name(request, choice)


def _by_name(request: PageRequest, choice: Choice) -> Choice:
    """The one whom the account knows by that name among the chosen, or those who may be meant."""
    try:
        choice.suggested = known_people(request.account, choice.typed, choice.chosen_dids)
    except TooOften as error:
        choice.stop(error)
        return choice
    if not choice.suggested:
        choice.problem = _called_by_nobody(choice)
    elif len(choice.suggested) > 1 or _is_sending(request):
        # What is sent goes to nobody who was guessed.
        choice.problem = _("Choose who is meant by “%(name)s”.") % {"name": choice.typed}
    else:
        return _with_found(request.account, _found(request, choice, choice.suggested[0].person.did))
    return choice


def _called_by_nobody(choice: Choice) -> str:
    for person in choice.chosen:
        if is_called(choice.typed, person.name, person.handle):
            return _("%(name)s is chosen already.") % {"name": person.name}
    nobody = _("You know nobody called “%(name)s”. Somebody new is found by their whole handle.")
    return nobody % {"name": choice.typed}


def _is_sending(request: PageRequest) -> bool:
    return request.POST.get("do") == "send" or bool(request.POST.get("at"))


def _with_found(account: Account, choice: Choice) -> Choice:
    """The person who was found among the chosen, if messages can reach them; whom the account meets for the
    first time stays to be looked at."""
    if choice.found is None or choice.found.reachability == "unreachable":
        return choice
    chosen = choice.chosen if choice.already else [*choice.chosen, choice.found]
    is_new = not consent.accepted_among(account, [choice.found.did])
    return Choice(chosen=chosen, found=choice.found if is_new else None)


def _found(request: PageRequest, choice: Choice, text: str) -> Choice:
    """With who answers to a handle or DID."""
    try:
        choice.found = answering_to(request.account, text)
    except TooOften as error:
        choice.stop(error)
        return choice
    except IdentityError as error:
        choice.problem = str(error)
        return choice
    if choice.found.did == request.account.did and choice.chosen:
        choice.problem, choice.found = _("You are in every conversation of yours already."), None
    elif len(choice.chosen) >= MAX_RECIPIENTS and not choice.already:
        choice.problem = _("A message can go to %(count)d people at most.") % {"count": MAX_RECIPIENTS}
        choice.found = None
    return choice


def _chosen(request: PageRequest) -> Choice:
    """Those whom the form names, without the one whom its button removes; as they were last known where it
    names too many in all whom nobody here has heard of."""
    removed = request.POST.get("remove")
    dids = [did for did in dict.fromkeys(request.POST.getlist("to")) if did != removed][:MAX_RECIPIENTS]
    choice = Choice()
    try:
        choice.chosen = look_up_again(request.account, dids)
    except TooOften as error:
        choice.stop(error)
        choice.chosen = directory.as_last_known(dids, choice.problem)
    return choice


def _not_found(chosen: Sequence[directory.Person]) -> str:
    """What is to be said of those who are chosen and whom nobody knows; empty where there are none."""
    unknown = [person.did for person in chosen if person.never_known]
    if not unknown:
        return ""
    sentence = ngettext(
        "%(who)s could not be found. Remove them, or try again later.",
        "%(who)s could not be found. Remove them, or try again later.",
        len(unknown),
    )
    return sentence % {"who": ", ".join(unknown)}


def _context(request: PageRequest, choice: Choice) -> dict[str, object]:
    found = choice.found
    return {
        "like": likenesses(request.account, [found.did]).get(found.did) if found else None,
        "chosen": choice.chosen,
        "disappears": _disappears(request.account, choice),
        "may_be_named": may_be_named(request.account, choice.chosen_dids),
        "found": found,
        "facts": facts_of(request.account, [found.did])[found.did] if found else None,
        "problem": choice.problem,
        "typed": choice.typed,
        "already": choice.already,
        "nobody": choice.nobody,
        "suggested": [each for each in choice.suggested if found is None or each.person.did != found.did],
    }


def _disappears(account: Account, choice: Choice) -> int:
    """After how many seconds what goes to those who are chosen does: as in the conversation with them."""
    known = with_people(account, sorted(choice.chosen_dids)) if choice.chosen else None
    return known.expires_after if known else 0


def _page_of(request: PageRequest, draft: OpenDraft) -> HttpResponse:
    """The page with a draft: its people, its text, its files."""
    composer = with_draft(request.account, draft)
    content = draft.content or DraftContent()
    choice = Choice(chosen=directory.look_up_all(list(content.people), seconds=CHOSEN_SECONDS))
    return _page(request, choice, composer, former_id=content.former, group_name=content.name)


def _page(
    request: PageRequest,
    choice: Choice,
    composer: dict[str, Any] | None = None,
    *,
    former_id: str = "",
    group_name: str = "",
    status: int = 200,
) -> HttpResponse:
    composer = composer or new_composer()
    if request.method == "POST":
        composer |= carried_on(request)
    if not composer.get("draft_id"):
        posted = request.POST.get("draft", "")
        composer["draft_id"] = posted if drafts.DRAFT_ID.fullmatch(posted) else drafts.new_id()
    asked = request.POST if request.method == "POST" else request.GET
    former = _former(request.account, former_id or asked.get("from", ""))
    context = (
        list_context(request)
        | _context(request, choice)
        | {
            "composer": composer,
            "previews": preview_choices.offered(request.account),
            "times": sending_times.choices(timezone.now()),
            "former": row(request.account, former) if former else None,
            "group_name": request.POST.get("group_name", group_name),
            "longest_name": LONGEST_NAME,
            "forwarded": _forwarded(request),
            "when": request.POST.get("when", ""),
            "tell": request.method != "POST" or bool(request.POST.get("tell")),
        }
    )
    page = render(request, "webmail/new_conversation.html", context, status=status)
    return rate_limits.refused(page, choice.too_often) if choice.too_often else page
