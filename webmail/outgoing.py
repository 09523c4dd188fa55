"""Sending: from the text a person wrote to a stored message that waits to be sealed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from crypto_agent.client import (
    AgentError,
    AgentLimited,
    AgentLocked,
    AgentSealed,
    Composed,
    Expires,
    NewMessage,
)
from webmail import (
    consent,
    disappearing,
    drafts,
    events,
    groups,
    left_groups,
    queues,
    topics,
)
from webmail.blobs.attaching import attachment, put_into_message
from webmail.draft_places import DraftOnPage
from webmail.models import Blob, Conversation, Delivery, Message
from webmail.people import people_of
from webmail.placing import conversation_for, place
from webmail.previews.card import Card
from webmail.previews.sending import new_preview
from webmail.refusals import Refusal
from webmail.typed_text import mentions_in, written

#: Leaves room for certificate, signature and padding in the largest envelope (protocol §4: some 63 KB).
MAX_TEXT_BYTES = 48_000
MAX_RECIPIENTS = 50
_EMPTY_LINES = re.compile(r"\A(?:[^\S\n]*\n)+")

_BY_TOKEN = PreparedRows(lambda account, token: Message.objects.filter(account=account, token=token))


class CannotSend(Refusal):
    """A message was not taken."""


def send(
    account: Account,
    recipients: Sequence[str],
    text: str,
    token: str,
    *,
    in_reply_to: str | None = None,
    topic: str = "",
    files: Sequence[Blob] = (),
    expires: Expires | None = None,
    preview: Card | None = None,
    on_page: DraftOnPage | None = None,
    now: datetime | None = None,
) -> Message:
    """Store a message and one delivery per recipient, and have it sealed and carried.

    `text` is what was typed (see webmail.typed_text), `topic` the key of the topic that it is written in, and
    `preview` says something of a link in it; the rest is as in `send_message`.
    """
    if sent := sent_before(account, token):
        return sent
    topic_id = id_of_topic(account, topic)
    message = typed_message(
        recipients, text, in_reply_to=in_reply_to, topic_id=topic_id, expires=expires, needed=not files
    )
    message = with_preview(account, message, preview, text)
    return send_message(account, recipients, message, token, files=files, on_page=on_page, now=now)


def typed_message(
    recipients: Sequence[str],
    text: str,
    *,
    in_reply_to: str | None,
    topic_id: str | None,
    expires: Expires | None,
    needed: bool,
) -> NewMessage:
    """What was typed as a message, without its files. Raises CannotSend, as ``checked_text``."""
    checked = checked_text(text, needed=needed)
    typed = written(checked, people_of(recipients).values() if mentions_in(checked) else ())
    return NewMessage(typed.text, typed.facets, in_reply_to=in_reply_to, topic_id=topic_id, expires=expires)


def id_of_topic(account: Account, topic: str) -> str | None:
    """The id of a topic as contents have it; None for no topic. Raises CannotSend where it can't be read."""
    found = topics.id_of(account, topic) if topic else None
    if topic and found is None:
        raise CannotSend("topic-not-open", _("This topic is not open at the moment. Nothing was sent."))
    return found


def with_preview(account: Account, message: NewMessage, card: Card | None, typed: str) -> NewMessage:
    """A message with the preview that was made for it, if its text still has the link. Raises CannotSend."""
    try:
        return replace(message, preview=new_preview(account, card, typed))
    except AgentError as error:
        raise refusal_of(error) from error


def send_message(
    account: Account,
    recipients: Sequence[str],
    message: NewMessage,
    token: str,
    *,
    files: Sequence[Blob] = (),
    named_files: Sequence[Blob] = (),
    on_page: DraftOnPage | None = None,
    only: Collection[str] | None = None,
    now: datetime | None = None,
) -> Message:
    """Store a message of any kind and one delivery per recipient, and have it sealed and carried.

    `recipients` are DIDs, the sender's own being dropped unless it is the only one; `files` are added to
    what `message` has, `named_files` are those that its preview or group update names; `token` is a UUID
    made by the page, or by whoever sends: the same one again returns the message of the first time. What
    changes only what is there (`NewMessage.quiet`: edits, reactions, receipts, …) takes no place in the
    thread or the list. Where `only` is given, of the recipients those alone get it who are in it, and the
    sender's other devices. The draft that it was written as `on_page` is gone with it. Raises CannotSend, or
    CannotAttach if a file went into another message meanwhile; nothing is stored then.
    """
    now = now or timezone.now()
    token = checked_token(token)
    if sent := _BY_TOKEN.one(account.pk, token):
        return sent
    others = checked_recipients(account, recipients)
    attachments = [*message.attachments, *(attachment(blob) for blob in files)]
    composed = compose(account, others, replace(message, attachments=attachments), now)
    if message.quiet and not consent.may_answer(account, composed.conversation_id):
        raise CannotSend("not-accepted", _("Accept the conversation first. Nothing was sent."))
    return store_composed(
        account,
        others,
        message,
        composed,
        token,
        files=files,
        named_files=named_files,
        on_page=on_page,
        only=only,
        now=now,
    )


def store_composed(
    account: Account,
    others: Sequence[str],
    message: NewMessage,
    composed: Composed,
    token: str,
    *,
    files: Sequence[Blob] = (),
    named_files: Sequence[Blob] = (),
    on_page: DraftOnPage | None = None,
    only: Collection[str] | None = None,
    now: datetime,
) -> Message:
    """The rows of a message that the agent made of `message`, as in `send_message`; then its way begins."""
    try:
        with transaction.atomic():
            conversation = written_to(
                account, composed.conversation_id, others, now, by_itself=message.receipt is not None
            )
            row = store(
                account,
                conversation,
                message,
                message_id=composed.message_id,
                created_at=composed.created_at,
                sealed=composed.sealed,
                token=token,
                topic=None
                if message.quiet
                else topics.key_of(conversation.conversation_id, message.topic_id),
                files=files,
                inline=composed.inline[len(message.attachments) :],
                named_files=named_files,
                only=only,
                now=now,
            )
            if on_page is not None:
                drafts.sent(account, on_page)
    except IntegrityError:
        # The same page was submitted twice at once; the other one is stored.
        return Message.objects.get(account=account, token=token)
    return row


def written_to(
    account: Account,
    conversation_id: str,
    others: Sequence[str],
    now: datetime,
    *,
    by_itself: bool = False,
    later: bool = False,
) -> Conversation:
    """The conversation that somebody writes to, which accepts it and its people, but for what goes out
    `by_itself`, and its people only when it goes out where that is `later`. Raises CannotSend where it is
    blocked."""
    writer = None if by_itself else account.did
    conversation = conversation_for(account, conversation_id, others, now, written_by=writer, later=later)
    if conversation.blocked:
        raise to_blocked()
    return conversation


def to_blocked() -> CannotSend:
    """What to tell the person who writes to whom they block."""
    return CannotSend("blocked", _("You block them, so nothing was sent. Unblock them on their page first."))


def store(
    account: Account,
    conversation: Conversation,
    message: NewMessage,
    *,
    message_id: str,
    created_at: datetime,
    sealed: bytes,
    token: str,
    topic: str | None,
    files: Sequence[Blob],
    inline: Sequence[bool],
    named_files: Sequence[Blob] = (),
    only: Collection[str] | None = None,
    now: datetime,
) -> Message:
    """Store a composed message, to be sealed and carried from ``now`` on. In a transaction.

    ``only`` is as in `send_message`; ``inline`` says of each of ``files`` whether the content has it itself.
    Raises CannotAttach if a file went into another message meanwhile, IntegrityError for a token that was
    used.
    """
    recipients = [
        did for did in conversation.participants if did != account.did and (only is None or did in only)
    ]
    if message.receipt is not None:
        # What goes out by itself tells nobody whom the account never accepted that anybody is here and reads.
        accepted = consent.accepted_among(account, recipients)
        recipients = [did for did in recipients if did in accepted]
    row = Message.objects.create(
        account=account,
        conversation=conversation,
        message_id=message_id,
        direction=Message.Direction.OUT,
        state=Message.State.COMPOSED,
        sender_did=account.did,
        trust=Message.Trust.OWN,
        created_at=created_at,
        placed_at=max(created_at, now.replace(microsecond=now.microsecond // 1000 * 1000)),
        shown=not message.quiet,
        changes_group=groups.change_of(message.group_update),
        in_reply_to=message.in_reply_to or "",
        replaces=message.replaces or "",
        takes_back=message.takes_back,
        topic=topic,
        expires_after=disappearing.seconds_of(message.expires),
        # What goes to others begins to disappear once the first of them has it: see webmail/deliveries.py.
        expires_at=disappearing.end_of(message.expires, None if recipients else created_at),
        sealed=sealed,
        token=token,
    )
    Delivery.objects.bulk_create(
        Delivery(message=row, recipient_did=did, next_attempt_at=now, created_at=now) for did in recipients
    )
    put_into_message(files, row.message_id, inline)
    put_into_message(named_files, row.message_id, [False] * len(named_files))
    if row.shown:
        left_groups.wrote(account, row)
        place([row])
        topics.begin([row])
    groups.apply([row])
    transaction.on_commit(lambda: queues.give(queues.SEAL, row.pk))
    if message.receipt is None:
        transaction.on_commit(lambda: _tell(row))
    return row


def compose(
    account: Account,
    others: Sequence[str],
    message: NewMessage,
    now: datetime,
    *,
    draft: tuple[str, bytes] | None = None,
) -> Composed:
    """What the agent makes of a message that says it was written at ``now``, and of its ``draft`` (an id, and
    what is to open under it). Raises CannotSend."""
    try:
        return agent().compose(account.did, others, message, created_at=now, draft=draft)
    except AgentError as error:
        raise refusal_of(error) from error


def refusal_of(error: AgentError) -> CannotSend:
    """What to tell the person who wrote, when the agent did not do its part."""
    if isinstance(error, AgentLimited):
        return CannotSend(
            "limit-reached", _("You wrote as much as one hour allows. Nothing was sent; try again later.")
        )
    if isinstance(error, AgentSealed):
        return CannotSend(
            "agent-sealed",
            _("The key agent is locked: its operator has to give it its key. Nothing was sent."),
        )
    if isinstance(error, AgentLocked):
        return CannotSend(
            "locked", _("Your keys are locked, so nothing was sent. Unlock them, then send this again.")
        )
    if error.code == "MessageTooLong":
        return CannotSend("too-long", _("This is too long for one message. Send it in parts."))
    return CannotSend(
        "agent-unavailable", _("Your agent, which seals your messages, does not answer. Nothing was sent.")
    )


def sent_before(account: Account, token: str) -> Message | None:
    """What a page with this token has sent already."""
    try:
        return _BY_TOKEN.one(account.pk, checked_token(token))
    except CannotSend:
        return None


def _tell(message: Message) -> None:
    events.conversation_changed(message.account_id, message.conversation.conversation_id, message.message_id)


def checked_token(token: str) -> str:
    """A token of a page. Raises CannotSend."""
    try:
        return str(UUID(token))
    except ValueError as error:
        raise CannotSend("bad-token", _("This page is too old. Reload it and send again.")) from error


def checked_text(text: str, *, needed: bool) -> str:
    """What was typed, as it is sent: without empty lines around it, and with the indent of its first line.

    Raises CannotSend, also for a blank one where one is `needed`.
    """
    text = _EMPTY_LINES.sub("", text.replace("\r\n", "\n").replace("\r", "\n").rstrip())
    if not text and needed:
        raise CannotSend("empty", _("Write something first, or choose a file."))
    if "\x00" in text:
        raise CannotSend("bad-text", _("The text holds a character that cannot be sent."))
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise CannotSend("bad-text", _("The text holds a character that cannot be sent.")) from error
    if size > MAX_TEXT_BYTES:
        raise CannotSend("too-long", _("This is too long for one message. Send it in parts."))
    return text


def checked_recipients(account: Account, recipients: Sequence[str]) -> list[str]:
    """The DIDs that a message goes to. Raises CannotSend."""
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
