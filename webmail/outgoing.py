"""Sending: from the text a person wrote to a stored message that waits to be sealed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError
from webmail import events
from webmail.conversations import conversation_for, place
from webmail.models import Delivery, Message

#: Leaves room for certificate, signature and padding in the largest envelope (protocol §4: some 63 KB).
MAX_TEXT_BYTES = 48_000
MAX_RECIPIENTS = 50


class CannotSend(Exception):
    """A message was not taken. `code` is stable, `sentence` is for the person who wrote it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = sentence


def send(
    account: Account,
    recipients: Sequence[str],
    text: str,
    token: str,
    *,
    in_reply_to: str | None = None,
    now: datetime | None = None,
) -> Message:
    """Store a message and one delivery per recipient, and have it sealed and carried.

    `recipients` are DIDs, the sender's own being dropped unless it is the only one; `text` is what was
    typed; `token` is a UUID made by the page: the same one again returns the message of the first time.
    Raises CannotSend; nothing is stored then.
    """
    now = now or timezone.now()
    token = _checked_token(token)
    if sent := Message.objects.filter(account=account, token=token).first():
        return sent
    text = _checked_text(text)
    others = _checked_recipients(account, recipients)
    try:
        composed = agent().compose(account.did, others, text, created_at=now, in_reply_to=in_reply_to)
    except AgentError as error:
        raise CannotSend(
            "agent-unavailable",
            _("Your agent, which seals your messages, does not answer. Nothing was sent."),
        ) from error
    try:
        with transaction.atomic():
            conversation = conversation_for(account, composed.conversation_id, others, now)
            message = Message.objects.create(
                account=account,
                conversation=conversation,
                message_id=composed.message_id,
                direction=Message.Direction.OUT,
                state=Message.State.COMPOSED,
                sender_did=account.did,
                trust=Message.Trust.OWN,
                created_at=composed.created_at,
                placed_at=composed.created_at,
                in_reply_to=in_reply_to or "",
                sealed=composed.sealed,
                token=token,
            )
            Delivery.objects.bulk_create(
                Delivery(message=message, recipient_did=did, next_attempt_at=now, created_at=now)
                for did in others
                if did != account.did
            )
            place(message)
            transaction.on_commit(lambda: _start(message))
    except IntegrityError:
        # The same page was submitted twice at once; the other one is stored.
        return Message.objects.get(account=account, token=token)
    return message


def retry(account: Account, message_id: str, *, now: datetime | None = None) -> Message:
    """Try the failed deliveries of a message again, from resolving the recipient's devices onwards.

    Raises Message.DoesNotExist. Deliveries that did not fail are left alone.
    """
    now = now or timezone.now()
    with transaction.atomic():
        message = Message.objects.select_for_update().get(account=account, message_id=message_id)
        failed = message.deliveries.filter(state=Delivery.State.FAILED)
        if failed.update(
            state=Delivery.State.QUEUED,
            attempts=0,
            next_attempt_at=now,
            created_at=now,
            failure_code="",
            failure_reply="",
            finished_at=None,
        ):
            transaction.on_commit(lambda: _start(message))
    return message


def _start(message: Message) -> None:
    from webmail import tasks

    tasks.enqueue(tasks.seal, message.pk)
    events.conversation_changed(message.account_id, message.conversation.conversation_id, message.message_id)


def _checked_token(token: str) -> str:
    try:
        return str(UUID(token))
    except ValueError as error:
        raise CannotSend("bad-token", _("This page is too old. Reload it and send again.")) from error


def _checked_text(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not text:
        raise CannotSend("empty", _("Write something first."))
    if "\x00" in text:
        raise CannotSend("bad-text", _("The text holds a character that cannot be sent."))
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise CannotSend("bad-text", _("The text holds a character that cannot be sent.")) from error
    if size > MAX_TEXT_BYTES:
        raise CannotSend("too-long", _("This is too long for one message. Send it in parts."))
    return text


def _checked_recipients(account: Account, recipients: Sequence[str]) -> list[str]:
    others = sorted({did for did in recipients if did != account.did})
    if not others:
        if account.did in recipients:
            return [account.did]
        raise CannotSend("no-recipient", _("Choose who should get this."))
    if len(others) > MAX_RECIPIENTS:
        raise CannotSend(
            "too-many", _("A message can go to %(count)d people at most.") % {"count": MAX_RECIPIENTS}
        )
    return others
