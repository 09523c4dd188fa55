"""What a composer's form hands in: sent at once, held for a moment, or kept for its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.utils import timezone

from crypto_agent.client import Expires
from webmail import keeping_back, pending, sending_times
from webmail.draft_content import DraftContent
from webmail.draft_places import DraftOnPage
from webmail.models import Conversation, Message, PendingMessage
from webmail.outgoing import send, sent_before
from webmail.previews.card import decoded
from webmail.uploads import Files
from webmail.views.page_request import PageRequest


@dataclass(frozen=True)
class GoingOn:
    """The conversation that goes on with other people, and what is said there of it, or nothing."""

    former: Conversation
    words: str


def handed_in_before(request: PageRequest) -> Message | PendingMessage | None:
    """What the page with this token has handed in already."""
    token = request.POST.get("token", "")
    return sent_before(request.account, token) or keeping_back.by_token(request.account, token)


def hand_in(
    request: PageRequest,
    recipients: Sequence[str],
    files: Files,
    *,
    in_reply_to: str = "",
    topic: str = "",
    expires: Expires | None = None,
    on_page: DraftOnPage | None,
    going_on: GoingOn | None = None,
    group_name: str = "",
) -> Message | PendingMessage:
    """Takes what was written. Raises CannotSend or CannotAttach; nothing is stored then.

    It goes out at the time that the form names, or when it can't be taken back any more, and the group gets
    its name, if there is one, with it. The draft that it was written as ``on_page`` is gone with it.
    """
    account, now = request.account, timezone.now()
    text, token, at = (request.POST.get(name, "") for name in ("text", "token", "at"))
    if request.POST.get("when") and not at:
        # Enter in the field of the time presses "Send": nothing goes out earlier than it says.
        at = "chosen"
    blobs = files.checked()
    preview = decoded(request.POST.get("preview", ""))
    named = tuple((file.id, file.name) for file in files.shown)
    content = DraftContent(text, named, in_reply_to, topic=topic, preview=preview)
    former = going_on.former if going_on else None
    if group_name:
        content = replace(content, people=tuple(recipients), name=group_name)
    if going_on:
        content = replace(
            content,
            people=tuple(recipients),
            former=going_on.former.conversation_id,
            told=going_on.words,
        )
    if at:
        send_at = sending_times.chosen_time(at, request.POST.get("when", ""))
        return keeping_back.schedule(
            account,
            recipients,
            content,
            token,
            send_at,
            expires=expires,
            on_page=on_page,
            former=former,
            now=now,
        )
    held_for = keeping_back.undo_time(account)
    if held_for or former or group_name:
        held = keeping_back.hold(
            account,
            recipients,
            content,
            token,
            held_for=held_for,
            expires=expires,
            on_page=on_page,
            former=former,
            now=now,
        )
        # What goes out together with it is made as it goes.
        return held if held_for else pending.release(held.pk, now=now) or sent_before(account, token) or held
    return send(
        account,
        recipients,
        text,
        token,
        in_reply_to=in_reply_to or None,
        topic=topic,
        files=blobs,
        expires=expires,
        preview=preview,
        on_page=on_page,
        now=now,
    )


def place_of(handed_in: Message | PendingMessage) -> str:
    """Where its conversation's page shows it."""
    if isinstance(handed_in, Message):
        return f"#m{handed_in.message_id}"
    return f"#p{handed_in.pk}"
