"""One conversation: its messages, and what is written to it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import uuid4

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from accounts.models import Account
from accounts.sessions import signed_in
from webmail import (
    consent,
    disappearing,
    drafts,
    keeping_back,
    pending,
    quotes,
    sending_times,
    threads,
    topics,
    undelivered,
)
from webmail.blobs.attaching import CannotAttach
from webmail.conversation_keys import keys_in
from webmail.conversations import NotFound, find, others_in, row
from webmail.draft_places import DraftPlace
from webmail.drafts import OpenDraft
from webmail.models import Conversation, Message
from webmail.news import PREFIX, let_go, news, to_be_seen
from webmail.outgoing import CannotSend
from webmail.people import Person
from webmail.previews import choices as preview_choices
from webmail.read_marks import mark_read
from webmail.thread_window import At, first_since, shown
from webmail.topic_list import topic_of
from webmail.uploads import ChosenFile, Files, attach_all, files_of
from webmail.views import previews
from webmail.views.conversation_notices import notices_of
from webmail.views.draft_on_page import carried_on, draft_on_page, on_a_page
from webmail.views.handing_in import hand_in, handed_in_before, place_of
from webmail.views.inbox import list_context
from webmail.views.page_request import PageRequest
from webmail.views.requests_page import not_open
from webmail.views.signed_out import page_that_stays


@require_safe
@signed_in
def conversation(request: PageRequest, conversation_id: str) -> HttpResponse:
    """A conversation where the unread messages begin, or with the newest ones, as there are none or `newest`
    is set, or with those `before`, `after` or `around` a message.

    With a day as `on` it leads to the first message of that day, or of the next that has one.
    """
    if request.htmx.target == "side":
        return render(request, "webmail/_no_drawer.html")
    found = _any_conversation_of(request, conversation_id)
    if not consent.may_be_told(found):
        return not_open(request, found)
    if "on" in request.GET:
        return redirect(_address_on(found, request.GET["on"]))
    if request.htmx.target == "pane":
        return _pane(request, found)
    return conversation_page(request, found)


@require_safe
@signed_in
def older(request: PageRequest, conversation_id: str) -> HttpResponse:
    """The messages before `before`, to be put above those shown."""
    open_one = conversation_of(request, conversation_id)
    thread = _thread(request, open_one)
    answer = render(request, "webmail/_older_page.html", {"thread": thread, "row": thread.conversation})
    if thread.unread or open_one.undelivered:
        answer["HX-Trigger-After-Settle"] = "news"
    return answer


@require_safe
@signed_in
def newer(request: PageRequest, conversation_id: str) -> HttpResponse:
    """The messages after `after`, to be put below those shown; `new` says that what is new begins there."""
    open_one = conversation_of(request, conversation_id)
    thread = _thread(request, open_one)
    context = {"thread": thread, "row": thread.conversation, "mark_unread": "new" not in request.GET}
    answer = render(request, "webmail/_newer_page.html", context)
    if thread.unread or open_one.undelivered or not thread.newer_cursor:
        # The page says what it shows now; from the end on it is told what comes.
        answer["HX-Trigger-After-Settle"] = "news"
    return answer


@require_safe
@signed_in
def whats_new(request: PageRequest, conversation_id: str) -> HttpResponse:
    """What an open page does not show yet. `seen` is set when somebody looks at that page: what it shows, and
    what it is told, was read then.

    It counts only from htmx: what a browser loads ahead, or a preview asks for, has nobody who looks at it.
    """
    open_one = conversation_of(request, conversation_id)
    shown_locked = request.GET.get("state") == "locked"
    if request.account.locked_here:
        if shown_locked:
            return HttpResponse(status=204)
        answer = render(request, "webmail/_locked_news.html", {"row": row(request.account, open_one)})
        answer["HX-Reswap"] = "none"
        return answer
    if shown_locked:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    on_page = dict(_prefix_and_mark(each) for each in request.GET.getlist("shown"))
    seen = bool(request.GET.get("seen") and request.htmx)
    if request.GET.get("part") == "middle":
        if seen:
            mark_read(request.account, open_one, shown=to_be_seen(on_page))
            undelivered.looked_at(open_one, on_page)
        return _without(let_go(open_one, on_page), _nothing_but_mentions(request, open_one))
    topic = topic_in(request.GET)
    found = news(request.account, open_one, on_page, topic=topic)
    if seen:
        shown_now = {*to_be_seen(on_page), *(id[:PREFIX] for id in found.ids)}
        mark_read(request.account, open_one, shown=shown_now)
        undelivered.looked_at(open_one, shown_now)
    if found.gap:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    if not found:
        return _nothing_but_mentions(request, open_one)
    renamed = any(entry.event for entry in found.later)
    renamed_topic = any(entry.id == topic for entry in found.changed)
    context = {
        "news": found,
        "row": row(request.account, open_one) if renamed and not topic else None,
        "topic": topic_of(request.account, open_one, topic) if renamed_topic else None,
        "row_id": conversation_id,
        "keys": keys_in(request.account, open_one),
        "with_one": len({*open_one.participants} - {request.account.did}) == 1,
        "mentions": _mentions_anew(request, open_one),
    }
    return _without(found.gone, render(request, "webmail/_news.html", context))


def _mentions_anew(request: PageRequest, open_one: Conversation) -> int | None:
    """How many unread messages mention the account, where a page says another number; None where it says this
    one, or none at all."""
    said = request.GET.get("mentions")
    return None if said is None or said == str(open_one.unread_mentions) else open_one.unread_mentions


def _nothing_but_mentions(request: PageRequest, open_one: Conversation) -> HttpResponse:
    count = _mentions_anew(request, open_one)
    if count is None:
        return HttpResponse(status=204)
    context = {"row_id": open_one.conversation_id, "mentions": count, "swap": True}
    answer = render(request, "webmail/_mentioned.html", context)
    answer["HX-Reswap"] = "none"
    return answer


def _without(gone: Sequence[str], answer: HttpResponse) -> HttpResponse:
    """The answer, which tells the page what to show no more; the page may have taken it away already."""
    return trigger_client_event(answer, "gone", {"ids": [id[:PREFIX] for id in gone]}) if gone else answer


@require_POST
@signed_in(when_signed_out=page_that_stays)
def send_to(request: PageRequest, conversation_id: str) -> HttpResponse:
    """Send what was written; without script, show the conversation again, or the topic that it was written
    in. With `begins` a topic begins with it, whose page is shown."""
    open_one = conversation_of(request, conversation_id)
    topic, page = topic_in(request.POST), topic_in(request.POST, "page")
    recipients = others_in(request.account, open_one)
    answered = _answered(open_one, request.POST.get("in_reply_to", ""))
    files = Files()
    if request.POST.get("do") in (previews.ADD, previews.REMOVE):
        return _page_with_preview(request, open_one, answered, topic, page)
    try:
        handed_in = handed_in_before(request)
        if handed_in is None:
            files = attach_all(request, request.account)
            handed_in = hand_in(
                request,
                recipients,
                files,
                in_reply_to=answered.message_id if answered else "",
                topic=topic,
                expires=disappearing.chosen(open_one),
                on_page=draft_on_page(request, DraftPlace(open_one)),
            )
    except (CannotSend, CannotAttach) as error:
        text = request.POST.get("text", "")
        composer = new_composer(text=text, error=error.sentence, files=files.shown) | carried_on(request)
        composer["card"] = previews.card_in_form(request)
        composer["reply"] = quotes.of_message(request.account, answered) if answered else None
        composer["topic"] = topic_of(request.account, open_one, topic) if topic else None
        if request.htmx:
            return render(request, "webmail/_composer_state.html", {"composer": composer}, status=422)
        return conversation_page(request, open_one, composer=composer, topic=page, status=422)
    begun = handed_in.message_id if request.POST.get("begins") and not topic else ""
    if request.htmx:
        answer = render(request, "webmail/_composer_state.html", {"composer": new_composer()})
        trigger_client_event(answer, "news")
        if begun:
            trigger_client_event(answer, "topic-begun", {"address": page_address(open_one, begun)})
        return answer
    return redirect(page_address(open_one, page or begun) + place_of(handed_in))


def _page_with_preview(
    request: PageRequest, open_one: Conversation, answered: Message | None, topic: str, page: str
) -> HttpResponse:
    """The conversation again without script, with what is being written and its preview."""
    files = attach_all(request, request.account)
    error = files.problem.sentence if files.problem else ""
    composer = new_composer(text=request.POST.get("text", ""), error=error, files=files.shown)
    composer |= carried_on(request)
    composer["reply"] = quotes.of_message(request.account, answered) if answered else None
    composer["topic"] = topic_of(request.account, open_one, topic) if topic else None
    return conversation_page(request, open_one, composer=composer | previews.previewed(request), topic=page)


def conversation_of(request: PageRequest, conversation_id: str) -> Conversation:
    """A conversation that the account agreed to. Raises Http404."""
    found = _any_conversation_of(request, conversation_id)
    if not consent.may_be_told(found):
        raise Http404
    return found


def _any_conversation_of(request: PageRequest, conversation_id: str) -> Conversation:
    try:
        return find(request.account, conversation_id)
    except NotFound as error:
        raise Http404 from error


def conversation_page(
    request: PageRequest,
    open_one: Conversation,
    *,
    composer: dict[str, Any] | None = None,
    at: At | None = None,
    topic: str = "",
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """The whole page of a conversation, or of one topic of it. That it was asked for says nothing about who
    looks at it: `whats_new` and `seen` note that."""
    listed = list_context(request)
    context = listed | _pane_context(request, open_one, at=at, topic=topic, known=listed["list"].people)
    context["composer"] |= composer or {}
    open_form = (more.get("doing") or {}).get("id")
    context["edits"] = [each for each in context["edits"] if each.message_id != open_form]
    return render(request, "webmail/conversation.html", context | more, status=status)


def _pane(request: PageRequest, open_one: Conversation) -> HttpResponse:
    """A conversation for the pane of an open page, which has its address from then on; nothing where the page
    around it would be another one as well, as with locked keys."""
    if request.account.locked_here:
        return HttpResponse(status=204)
    answer = render(request, "webmail/conversation_pane.html", _pane_context(request, open_one))
    answer["HX-Push-Url"] = page_address(open_one)
    return answer


def _pane_context(
    request: PageRequest,
    open_one: Conversation,
    *,
    at: At | None = None,
    topic: str = "",
    known: Mapping[str, Person] | None = None,
) -> dict[str, Any]:
    """What webmail/_pane.html shows."""
    thread = _thread(request, open_one, at, topic=topic, known=known)
    return {
        "topic": topic_of(request.account, open_one, topic) if topic else None,
        "row": thread.conversation,
        "thread": thread,
        **notices_of(request, open_one),
        "disappears": open_one.expires_after,
        "composer": composer_of(request.account, open_one),
        "edits": [] if request.account.locked_here else drafts.edits_in(request.account, open_one),
        "previews": preview_choices.offered(request.account),
        "times": sending_times.choices(timezone.now()),
        **waiting_context(request.account, open_one, topic),
        "keys": thread.keys,
    }


def new_composer(*, text: str = "", error: str = "", files: Sequence[ChosenFile] = ()) -> dict[str, Any]:
    """A fresh token, so that submitting one page twice sends one message."""
    return {"token": str(uuid4()), "text": text, "error": error, "files": files}


def waiting_context(account: Account, open_one: Conversation, topic: str = "") -> dict[str, Any]:
    """What webmail/_pending.html and _toast_undo.html show."""
    waiting = pending.in_conversation(account, open_one, topic)
    soon = timezone.now() + keeping_back.MARGIN
    undoing = [each for each in waiting if each.held and each.release_at > soon]
    return {"waiting": waiting, "undoing": undoing[-1] if undoing else None}


def composer_of(account: Account, open_one: Conversation) -> dict[str, Any]:
    """The composer of a conversation with what is being written there."""
    return with_draft(account, drafts.of_conversation(account, open_one), open_one)


def with_draft(
    account: Account, draft: OpenDraft | None, open_one: Conversation | None = None
) -> dict[str, Any]:
    """A composer with a draft, or an empty one."""
    if draft is None:
        return new_composer()
    about = on_a_page(draft)
    if draft.content is None:
        return new_composer() | about
    answered = _answered(open_one, draft.content.in_reply_to) if open_one else None
    about["reply"] = quotes.of_message(account, answered) if answered else None
    topic = draft.content.topic if open_one else ""
    about["topic"] = topic_of(account, open_one, topic) if open_one and topic else None
    about["card"] = draft.content.preview
    files = files_of(account, draft.content.files)
    return new_composer(text=draft.content.text, files=files) | about


def _thread(
    request: PageRequest,
    open_one: Conversation,
    at: At | None = None,
    *,
    topic: str = "",
    known: Mapping[str, Person] | None = None,
) -> threads.Thread:
    asked = {name: request.GET.get(name) or None for name in ("around", "after", "before")}
    if any(text and not text.isalnum() for text in asked.values()):
        # PostgreSQL refuses some characters with an error instead of finding nothing.
        raise Http404
    try:
        topic = topic or topic_in(request.GET)
        at = at or At(**asked, topic=topic, unread="newest" not in request.GET)
        return threads.thread(request.account, open_one, at, known=known)
    except NotFound as error:
        raise Http404 from error


def topic_in(fields: QueryDict, name: str = "topic") -> str:
    """The key of a topic that a form or an address has; empty for none, and for what is no such key."""
    key = fields.get(name, "")
    return key if topics.KEY.fullmatch(key) else ""


def page_address(open_one: Conversation, topic: str = "") -> str:
    """Where the page of a conversation is, or of one topic of it."""
    if topic:
        return reverse("topic", args=[open_one.conversation_id, topic])
    return reverse("conversation", args=[open_one.conversation_id])


def _answered(open_one: Conversation, message_id: str) -> Message | None:
    """The message of the conversation that is being answered; None for one that it does not have."""
    if not message_id.isalnum():
        return None
    return (
        shown(open_one)
        .filter(message_id=message_id, trust__in=Message.VOUCHED_FOR)
        .select_related("conversation")
        .first()
    )


def _address_on(open_one: Conversation, day: str) -> str:
    """Where the first message at or after a day (YYYY-MM-DD, in the browser's time zone) is; the newest
    where there is none, or no such day."""
    page = reverse("conversation", args=[open_one.conversation_id])
    try:
        begins = timezone.make_aware(datetime.combine(date.fromisoformat(day), time.min))
        first = first_since(open_one, begins.astimezone(UTC))
    except (ValueError, OverflowError):
        first = None
    return f"{page}?around={first}#m{first}" if first else page


def _prefix_and_mark(shown: str) -> tuple[str, str]:
    prefix, _separator, mark = shown.partition(":")
    return prefix, mark
