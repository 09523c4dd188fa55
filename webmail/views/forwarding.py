"""Passing a message on: choosing to whom, sending it to each of them, and taking that back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.http import Http404, HttpResponse
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
from accounts.rate_limits import TooOften
from accounts.sessions import signed_in
from webmail import forward_targets, forwarded_notice, forwarding, pending, threads
from webmail.conversations import NotFound
from webmail.finding_people import Suggestion
from webmail.forward_targets import MOST_CHOSEN, Chosen, Target
from webmail.identity_facts import IdentityFacts, facts_of
from webmail.known_people import likenesses
from webmail.likeness import Likeness
from webmail.models import Message, PendingMessage
from webmail.outgoing import CannotSend
from webmail.pending import NotPending
from webmail.views.handing_in import place_of
from webmail.views.looking_up import (
    answering_to,
    as_handle,
    begins_known,
    is_whole,
    known_people,
    look_up_again,
)
from webmail.views.message_actions import address_of, message_of
from webmail.views.page_request import PageRequest

LONGEST_QUERY = 300


@dataclass(frozen=True)
class Offered:
    """One line to choose: `found` is who was looked up, with how messages reach them; `facts` and `like` say
    who it is, of somebody whom the account never wrote to."""

    target: Target
    checked: bool = False
    found: directory.Person | None = None
    facts: IdentityFacts | None = None
    like: Likeness | None = None


@dataclass
class Search:
    """What was found for what is typed, and why nobody could be looked up."""

    query: str
    conversations: list[Offered] = field(default_factory=list)
    people: list[Offered] = field(default_factory=list)
    problem: str = ""
    too_often: TooOften | None = None


@dataclass(frozen=True)
class Outcome:
    """To whom a message was passed on just now, and to whom not, with the reason."""

    sent: list[tuple[Target, Message | PendingMessage]] = field(default_factory=list)
    refused: list[tuple[Target, str]] = field(default_factory=list)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def forward(request: PageRequest, message_id: str) -> HttpResponse:
    """Choose whom a message is passed on to, and send it there. Its form works without script: searching
    posts all of it here, with what is chosen so far."""
    message = message_of(request, message_id)
    if request.method != "POST":
        return _page(request, message, Chosen([]))
    chosen = forward_targets.chosen(request.account, request.POST.getlist("to"))
    if request.htmx.target == "targets" or request.POST.get("do") == "search":
        return _page(request, message, chosen, request.POST.get("q", ""))
    return _send(request, message, chosen)


def _send(request: PageRequest, message: Message, chosen: Chosen) -> HttpResponse:
    if problem := _problem_of(chosen):
        return _page(request, message, chosen, problem=problem)
    try:
        outcome = _passed_on(request, message, chosen.targets)
    except NotFound as missing:
        raise Http404 from missing
    except CannotSend as refused:
        return _page(request, message, chosen, problem=refused.sentence)
    if outcome.refused or chosen.missing:
        left = Chosen([target for target, _sentence in outcome.refused], chosen.missing)
        return _page(request, message, left, outcome=outcome)
    if len(outcome.sent) == 1:
        (_target, sent), *_none = outcome.sent
        page = reverse("conversation", args=[sent.conversation.conversation_id])
        return redirect(address_of(sent) if isinstance(sent, Message) else page + place_of(sent))
    became = [row for _target, row in outcome.sent]
    signed = forwarded_notice.signed_mark(request.account, message.message_id, became)
    page, _hash, place = address_of(message).partition("#")
    return redirect(f"{page}&{urlencode({'forwarded': signed})}#{place}")


def _problem_of(chosen: Chosen) -> str:
    if not chosen.targets and not chosen.missing:
        return _("Choose who should get this.")
    if len(chosen.targets) > MOST_CHOSEN:
        return _("At most %(count)d can be chosen at once. Nothing was sent.") % {"count": MOST_CHOSEN}
    return ""


def _passed_on(request: PageRequest, message: Message, targets: Sequence[Target]) -> Outcome:
    """Raises NotFound, CannotSend where it can be passed on to nobody."""
    unreached = _unreached(request.account, [target for target in targets if target.first])
    reached = [target for target in targets if target.key not in unreached]
    became = forwarding.forward_to_each(
        request.account,
        message.message_id,
        [target.recipients for target in reached],
        request.POST.get("token", ""),
        now=timezone.now(),
    )
    outcome = Outcome(refused=[(each, unreached[each.key]) for each in targets if each.key in unreached])
    for target, row in zip(reached, became, strict=True):
        if isinstance(row, CannotSend):
            outcome.refused.append((target, row.sentence))
        else:
            outcome.sent.append((target, row))
    return outcome


def _unreached(account: Account, targets: Sequence[Target]) -> Mapping[str, str]:
    """By keys of those who are written to for the first time, why no message can reach them."""
    dids = [target.key for target in targets]
    try:
        found = look_up_again(account, dids) if dids else []
    except TooOften as error:
        return dict.fromkeys(dids, rate_limits.too_many_people(error))
    return {person.did: _why(person) for person in found if person.reachability == "unreachable"}


def _why(person: directory.Person) -> str:
    if not person.never_known and person.reason:
        return person.reason
    sentence = ngettext(
        "%(who)s could not be found. Remove them, or try again later.",
        "%(who)s could not be found. Remove them, or try again later.",
        1,
    )
    return sentence % {"who": person.name}


def _page(
    request: PageRequest,
    message: Message,
    chosen: Chosen,
    query: str = "",
    *,
    problem: str = "",
    outcome: Outcome | None = None,
) -> HttpResponse:
    """The page, or for one that is open what can be chosen on it."""
    search = _search(request.account, query.strip()[:LONGEST_QUERY], chosen.targets)
    context = {
        "chosen": [Offered(target, checked=True) for target in chosen.targets],
        "search": search,
        "most": MOST_CHOSEN,
    }
    if request.htmx.target == "targets":
        status = 422 if search.too_often else 200
        return render(request, "webmail/_forward_targets.html", context | {"swap": True}, status=status)
    signed = request.GET.get("late", "")
    now = timezone.now()
    passed_on = [row for _target, row in outcome.sent] if outcome else []
    mark = forwarded_notice.signed_mark(request.account, message.message_id, passed_on) if passed_on else ""
    context |= {
        "message": message,
        "entry": threads.entry(request.account, message.message_id),
        "problem": problem,
        "outcome": outcome,
        "forwarded": forwarded_notice.notice(request.account, mark, now=now),
        "missing": chosen.missing,
        "undone": "undone" in request.GET and request.method != "POST",
        "late": forwarded_notice.notice(request.account, signed, now=now) if signed else None,
    }
    try:
        context["gone"] = forwarding.passable(request.account, message.message_id, now=now).gone
    except NotFound as missing:
        raise Http404 from missing
    except CannotSend as refused:
        context |= {"problem": refused.sentence, "nothing": True}
    is_refused = problem or chosen.missing or (outcome and outcome.refused)
    page = render(request, "webmail/forward.html", context, status=422 if is_refused else 200)
    return rate_limits.refused(page, search.too_often) if search.too_often else page


def _search(account: Account, query: str, chosen: Sequence[Target]) -> Search:
    """Conversations and people that the words find, without those that are chosen."""
    search = Search(query)
    there = forward_targets.conversations(account, query, chosen)
    search.conversations = [Offered(target) for target in there]
    if not query:
        return search
    try:
        known = _without_conversation(account, known_people(account, query, _alone(chosen)))
        handles = _handles([*there, *chosen]) | {each.person.handle for each in known}
        search.people = _introduced(account, known)
        if is_whole(query) and as_handle(query) not in handles and not begins_known(query, handles):
            _look_up(account, search, chosen)
    except TooOften as error:
        search.too_often, search.problem = error, rate_limits.too_many_people(error)
    return search


def _look_up(account: Account, search: Search, chosen: Sequence[Target]) -> None:
    """Adds who answers to the handle or DID that is typed. Raises TooOften."""
    try:
        found = answering_to(account, search.query)
    except IdentityError as error:
        search.problem = str(error)
        return
    there = forward_targets.conversations_with(account, [found.did]).get(found.did)
    key = there or found.did
    if key in {target.key for target in chosen}:
        return
    (target,) = forward_targets.chosen(account, [key]).targets
    if there:
        search.conversations = [Offered(target), *search.conversations]
        return
    facts, like = facts_of(account, [found.did]), likenesses(account, [found.did])
    one = Offered(target, found=found, facts=facts[found.did], like=like.get(found.did))
    search.people = [one, *(each for each in search.people if each.target.key != found.did)]


def _without_conversation(account: Account, known: Sequence[Suggestion]) -> list[Suggestion]:
    there = forward_targets.conversations_with(account, [each.person.did for each in known]) if known else {}
    return [each for each in known if each.person.did not in there]


def _introduced(account: Account, known: Sequence[Suggestion]) -> list[Offered]:
    """Whom the account did not accept yet goes with what is known of them."""
    strangers = [each.person.did for each in known if not each.accepted]
    facts = facts_of(account, strangers) if strangers else {}
    alike = likenesses(account, strangers) if strangers else {}
    return [
        Offered(
            forward_targets.of_person(each.person),
            facts=facts.get(each.person.did),
            like=alike.get(each.person.did),
        )
        for each in known
    ]


def _alone(targets: Iterable[Target]) -> set[str]:
    return {target.people[0].did for target in targets if not target.group}


def _handles(targets: Iterable[Target]) -> set[str]:
    return {target.people[0].handle for target in targets if not target.group}


@require_POST
@signed_in
def undo(request: PageRequest, message_id: str) -> HttpResponse:
    """Take back what was passed on to several just now, as far as it did not go out yet; then one may choose
    again."""
    message = message_of(request, message_id)
    mark = forwarded_notice.mark_in(request.account, request.POST.get("forwarded", ""))
    if mark is None or mark.message_id != message.message_id:
        raise Http404
    now = timezone.now()
    taken_back = set[str]()
    for conversation_id, pk in mark.held.items():
        try:
            pending.take_back(request.account, pk, now=now)
        except NotPending:
            continue
        taken_back.add(conversation_id)
    page = reverse("message-forward", args=[message.message_id])
    if taken_back.issuperset(mark.conversations):
        return redirect(f"{page}?undone")
    late = forwarded_notice.without(request.account, mark, taken_back)
    return redirect(f"{page}?{urlencode({'late': late})}")
