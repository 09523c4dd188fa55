"""What a composer's form hands in: sent at once, held for a moment, or kept for its time."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from crypto_agent.client import Expires
from webmail import pending, sending_times
from webmail.drafts import DraftContent
from webmail.models import Message, PendingMessage
from webmail.outgoing import send, sent_before
from webmail.previews.card import decoded
from webmail.uploads import Files
from webmail.views.page_request import PageRequest


def handed_in_before(request: PageRequest) -> Message | PendingMessage | None:
    """What the page with this token has handed in already."""
    token = request.POST.get("token", "")
    return sent_before(request.account, token) or pending.by_token(request.account, token)


def hand_in(
    request: PageRequest,
    recipients: Sequence[str],
    files: Files,
    *,
    in_reply_to: str = "",
    topic: str = "",
    expires: Expires | None = None,
    draft_id: str,
    at_once: bool = False,
) -> Message | PendingMessage:
    """Takes what was written. Raises CannotSend or CannotAttach; nothing is stored then.

    It goes out at the time that the form names, or when it can't be taken back any more; ``at_once`` if
    something else has to follow it.
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
    if at:
        send_at = sending_times.chosen_time(at, request.POST.get("when", ""), now)
        return pending.schedule(
            account, recipients, content, token, send_at, expires=expires, draft_id=draft_id, now=now
        )
    if not at_once and (held_for := pending.undo_time(account)):
        return pending.hold(
            account,
            recipients,
            content,
            token,
            held_for=held_for,
            expires=expires,
            draft_id=draft_id,
            now=now,
        )
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
        draft_id=draft_id,
        now=now,
    )


def place_of(handed_in: Message | PendingMessage) -> str:
    """Where its conversation's page shows it."""
    if isinstance(handed_in, Message):
        return f"#m{handed_in.message_id}"
    return f"#p{handed_in.pk}"
