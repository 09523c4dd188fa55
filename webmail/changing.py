"""Reacting to messages, editing one's own and taking them back: each is a message itself (protocol §5)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from crypto_agent.client import AgentError, CarriedFile, NewMessage, ReadMessage, SealedContent
from webmail import drafts, forgetting, keeping_back
from webmail.blobs.fetching import FILE_KIND
from webmail.conversations import NotFound, others_in
from webmail.draft_places import DraftOnPage, DraftPlace
from webmail.emoji import is_one_emoji
from webmail.models import Message
from webmail.opened import read_messages
from webmail.outgoing import (
    CannotSend,
    checked_text,
    refusal_of,
    send_message,
    sent_before,
    with_preview,
)
from webmail.people import people_of
from webmail.previews.received import card_in
from webmail.reactions import emoji_of
from webmail.related import related_to
from webmail.typed_text import typed, written
from webmail.withdrawing import withdraw

#: Parts that hold text (protocol §5).
TEXT_KINDS = (1, 10)


def react(account: Account, message_id: str, emoji: str, token: str) -> None:
    """React to a message with an emoji, or take that back where the account did so before.

    The same token does it once. Raises NotFound, CannotSend.
    """
    message = shown_message(account, message_id)
    emoji = emoji.strip()
    if not is_one_emoji(emoji):
        raise CannotSend("no-emoji", _("Choose one emoji."))
    if sent_before(account, token):
        return
    related = related_to([message], with_quoted=False)
    read = read_messages(account, message.conversation, related.to_read([]))
    mine = [
        row
        for row in related.reactions.get(message.pk, [])
        if row.sender_did == account.did and emoji in emoji_of(row, related, read)
    ]
    recipients = others_in(account, message.conversation)
    if not mine:
        send_message(account, recipients, NewMessage(reaction=emoji, in_reply_to=message_id), token)
    for number, row in enumerate(mine):
        one_token = str(uuid5(UUID(token), str(number))) if number else token
        send_message(account, recipients, NewMessage(takes_back=True, replaces=row.message_id), one_token)


def edit(
    account: Account, message_id: str, text: str, token: str, *, on_page: DraftOnPage | None = None
) -> None:
    """Put another text in the place of a message's; its files stay, and its preview as long as its link does.
    The draft that it was written as ``on_page`` is gone with it.

    Raises NotFound, CannotSend.
    """
    message = own_message(account, message_id)
    if sent_before(account, token):
        return
    newest = related_to([message], with_quoted=False).newest(message)
    (read,) = read_messages(account, message.conversation, [newest]).values() or (None,)
    if read is None or read.error or read.tombstone:
        raise CannotSend("not-open", _("This message is not open, so it cannot be edited."))
    content = SealedContent(message.conversation.conversation_id, newest.message_id, bytes(newest.sealed))
    files = [
        CarriedFile(content, place) for place, part in enumerate(read.parts) if part.get("kind") == FILE_KIND
    ]
    people = people_of(message.conversation.participants)
    new_text = written(checked_text(text, needed=not files), people.values())
    new = NewMessage(
        new_text.text,
        new_text.facets,
        carried=files,
        replaces=message_id,
        in_reply_to=read.in_reply_to,
        topic_id=read.topic_id,
        expires=read.expires,
    )
    try:
        card = card_in(account, content, read)
    except AgentError as error:
        raise refusal_of(error) from error
    new = with_preview(account, new, card, text)
    send_message(account, others_in(account, message.conversation), new, token, on_page=on_page)


def typed_of(account: Account, message_id: str) -> str:
    """What one's own message says, as one types it. Raises NotFound, CannotSend."""
    message = own_message(account, message_id)
    _content, read = newest_of(account, message)
    if not any(part.get("kind") in TEXT_KINDS for part in read.parts):
        return ""
    return typed(read.text or "", read.facets, people_of(message.conversation.participants))


def take_back(account: Account, message_id: str, token: str, *, now: datetime | None = None) -> bool:
    """Stop what no server has of a message, and ask the programs of those who may have it to show it no more.
    What waits to pass it on is not sent.

    Whether there was anybody to ask: else it was never sent, and is gone here as well, without a word to
    anybody. Raises NotFound, CannotSend; what was stopped stays so.
    """
    message = own_message(account, message_id)
    now = now or timezone.now()
    with transaction.atomic():
        have = withdraw(message, now=now)
        if not have:
            forgetting.forget(account, message_id, now=now)
            # Nothing is left here by which it would be known as taken back.
            keeping_back.forward_no_more(account, message_id)
            return False
    new = NewMessage(takes_back=True, replaces=message_id)
    send_message(account, others_in(account, message.conversation), new, token, only=have)
    drafts.discard(account, DraftPlace(message=message))
    return True


def newest_of(account: Account, message: Message) -> tuple[SealedContent, ReadMessage]:
    """The newest version of a message, and what it says. Raises CannotSend where it says nothing."""
    newest = related_to([message], with_quoted=False).newest(message)
    read = read_messages(account, message.conversation, [newest]).get(newest.pk)
    if read is None or read.error or read.tombstone:
        raise CannotSend("not-open", _("This message is not open at the moment."))
    conversation_id = message.conversation.conversation_id
    return SealedContent(conversation_id, newest.message_id, bytes(newest.sealed)), read


def shown_message(account: Account, message_id: str) -> Message:
    """A message that has a place in a thread and may be opened. Raises NotFound."""
    message = (
        Message.objects.filter(account=account, message_id=message_id, shown=True, replaces="")
        .filter(trust__in=Message.VOUCHED_FOR)
        .select_related("conversation")
        .first()
    )
    if message is None:
        raise NotFound(message_id)
    return message


def own_message(account: Account, message_id: str) -> Message:
    """The same, of the account itself: nobody else may change it. Raises NotFound."""
    message = shown_message(account, message_id)
    if message.sender_did != account.did:
        raise NotFound(message_id)
    return message
