"""Messages that go out later: taking them back, changing their time, and all that wait for theirs."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.sessions import signed_in
from crypto_agent.client import AgentError, AgentLocked, AgentSealed
from webmail import pending, sending_times
from webmail.blobs.attaching import CannotAttach
from webmail.conversations import row
from webmail.draft_places import DraftPlace
from webmail.models import Conversation, Message, PendingMessage
from webmail.outgoing import CannotSend
from webmail.pending import NotPending
from webmail.views.conversation import conversation_of, topic_in, waiting_context
from webmail.views.inbox import list_context
from webmail.views.page_request import PageRequest
from webmail.views.topics import topic_on_page


@require_safe
@signed_in
def in_conversation(request: PageRequest, conversation_id: str) -> HttpResponse:
    """What waits in a conversation, for a page that is open."""
    open_one = conversation_of(request, conversation_id)
    waiting = waiting_context(request.account, open_one, topic_in(request.GET))
    context = {"row": row(request.account, open_one), **waiting}
    return render(request, "webmail/_pending.html", context)


@require_POST
@signed_in
def undo(request: PageRequest, pending_pk: int) -> HttpResponse:
    """Take a message back, to where it was written or chosen."""
    try:
        row = pending.take_back(request.account, pending_pk, now=timezone.now())
    except NotPending:
        return _too_late(request)
    except AgentLocked:
        raise
    except AgentSealed:
        words = _("It can't be taken back just now: the key agent waits for its operator's key.")
        return _problem(request, words)
    except AgentError:
        return _problem(request, _("It can't be taken back just now: your agent does not answer."))
    page = _made_on(row)
    if page is None and request.htmx and topic_on_page(request) != row.message_id:
        return HttpResponse(status=204, headers={"HX-Trigger": "draft, news"})
    # A topic that has not begun is one whose page has nothing to write in any more.
    page = page or reverse("conversation", args=[row.conversation.conversation_id])
    return HttpResponse(status=204, headers={"HX-Redirect": page}) if request.htmx else redirect(page)


def _made_on(row: PendingMessage) -> str | None:
    """The page where a message was made that is no draft of its conversation now; None for any other."""
    if DraftPlace(draft_id=row.draft_id).rows(row.account).exists():
        return f"{reverse('new-conversation')}?{urlencode({'draft': row.draft_id})}"
    of_account = Message.objects.filter(account=row.account_id, forgotten_at=None)
    if row.forwards and of_account.filter(message_id=row.forwards).exists():
        return f"{reverse('message-forward', args=[row.forwards])}?undone"
    return None


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def discard(request: PageRequest, pending_pk: int) -> HttpResponse:
    """Throw away a message that was not sent, once that was asked: in its place, without script on a page."""
    if request.method != "POST":
        return _ask_whether_to_discard(request, pending_pk)
    problem = ""
    try:
        page = reverse("conversation", args=[pending.discard(request.account, pending_pk).conversation_id])
    except NotPending:
        problem = _("It was sent or taken back meanwhile.")
    shown_in = request.POST.get("conversation", "")
    if not (request.htmx and shown_in):
        return _problem(request, problem) if problem else _done(request, page)
    answer = _in_place(request, conversation_of(request, shown_in), problem=problem)
    answer["HX-Trigger"] = "news"
    return answer


def _ask_whether_to_discard(request: PageRequest, pending_pk: int) -> HttpResponse:
    found = PendingMessage.objects.filter(account=request.account, pk=pending_pk)
    waiting = found.select_related("conversation").first()
    if waiting is None:
        return _too_late(request)
    if request.htmx:
        return _in_place(request, waiting.conversation, asking=pending_pk)
    here = pending.in_conversation(request.account, waiting.conversation)
    content = next((message.content for message in here if message.pk == pending_pk), None)
    page = reverse("conversation", args=[waiting.conversation.conversation_id])
    origin = "scheduled" if request.GET.get("from") == "scheduled" else ""
    context = {
        "question": _("Discard this message?"),
        "text": content.text if content else "",
        "keep": reverse("scheduled") if origin else f"{page}#p{pending_pk}",
        "fields": {"from": origin},
    }
    return render(request, "webmail/discard.html", context)


def _in_place(
    request: PageRequest, conversation: Conversation, *, asking: int | None = None, problem: str = ""
) -> HttpResponse:
    """What waits in the conversation that the page shows, with a question about one of them."""
    topic = topic_on_page(request)
    context = {"row": row(request.account, conversation), "asking": asking, "topic_key": topic}
    context |= {"problem": problem, **waiting_context(request.account, conversation, topic)}
    return render(request, "webmail/_pending.html", context)


@require_POST
@signed_in
def send_now(request: PageRequest, pending_pk: int) -> HttpResponse:
    """Send at once what was to wait."""
    try:
        sent = pending.change_time(request.account, pending_pk, None, now=timezone.now())
    except NotPending:
        return _too_late(request)
    except (CannotSend, CannotAttach) as error:
        return _problem(request, error.sentence)
    return _done(request, reverse("conversation", args=[sent.conversation.conversation_id]))


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def change_time(request: PageRequest, pending_pk: int) -> HttpResponse:
    """Another time for a message."""
    now = timezone.now()
    found = PendingMessage.objects.filter(account=request.account, pk=pending_pk).first()
    if found is None:
        raise Http404
    error = ""
    if request.method == "POST":
        try:
            at = sending_times.chosen_time(request.POST.get("at", ""), request.POST.get("when", ""))
            pending.change_time(request.account, pending_pk, at, now=now)
            return redirect("scheduled")
        except NotPending:
            return redirect("scheduled")
        except (CannotSend, CannotAttach) as problem:
            error = problem.sentence
    context = {
        "pending_pk": pending_pk,
        "times": sending_times.choices(now),
        "release_at": found.release_at,
        "error": error,
    }
    return render(request, "webmail/pending_time.html", context, status=422 if error else 200)


@require_safe
@signed_in
def scheduled(request: PageRequest) -> HttpResponse:
    """Everything that waits for its time; that alone for a page that is open."""
    found = pending.scheduled(request.account)
    rows = [(waiting, row(request.account, waiting.conversation)) for waiting in found]
    if request.htmx.target == "scheduled":
        return render(request, "webmail/_scheduled.html", {"scheduled": rows})
    return render(request, "webmail/scheduled.html", list_context(request) | {"scheduled": rows})


def _done(request: PageRequest, page: str) -> HttpResponse:
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Trigger": "news"})
    # Back to where the button was.
    back = reverse("scheduled")
    return redirect(back if request.POST.get("from") == "scheduled" else page)


def _too_late(request: PageRequest) -> HttpResponse:
    return _problem(request, _("It was sent or taken back meanwhile."))


def _problem(request: PageRequest, sentence: str) -> HttpResponse:
    if request.htmx:
        answer = render(request, "webmail/_toast_problem.html", {"sentence": sentence})
        answer["HX-Retarget"], answer["HX-Reswap"] = "#toasts", "innerHTML"
        answer["HX-Trigger"] = "news"
        return answer
    return render(request, "webmail/pending_problem.html", {"sentence": sentence}, status=409)
