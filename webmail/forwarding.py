"""Passing a message on: its text and its files, in a message of one's own to other people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError, CarriedFile, NewMessage, ReadMessage, SealedContent
from webmail import consent, disappearing, keeping_back
from webmail.blobs.attaching import note_passed_on
from webmail.blobs.fetching import MessageFile, files_in
from webmail.changing import TEXT_KINDS, newest_of, shown_message
from webmail.conversations import NotFound, with_people
from webmail.models import Blob, Message, PendingMessage
from webmail.outgoing import CannotSend, checked_token, refusal_of, send_message, sent_before


@dataclass(frozen=True)
class Passable:
    """What of a message can be passed on, and the names of the files that are gone."""

    message: NewMessage
    files: list[MessageFile]
    gone: list[MessageFile]


def passable(account: Account, message_id: str, *, now: datetime) -> Passable:
    """What of a message can be passed on. Raises NotFound, CannotSend where nothing can."""
    message = shown_message(account, message_id)
    if not consent.may_be_told(message.conversation):
        raise NotFound(message_id)
    content, read = newest_of(account, message)
    files = files_in(read.parts)
    kept = [file for file in files if _is_kept(account, file, now)]
    new = _saying(content, read, kept)
    if not new.text.strip() and not kept:
        raise CannotSend("nothing-left", _("The files of this message are gone, so it cannot be passed on."))
    return Passable(new, kept, [file for file in files if file not in kept])


def passed_on(row: PendingMessage) -> NewMessage:
    """What a message that waits passes on, as it was taken, however what it passes on reads now. Raises
    CannotSend."""
    content = SealedContent(row.conversation.conversation_id, row.message_id, bytes(row.sealed))
    try:
        (read,) = agent().read(row.account.did, [content])
    except AgentError as error:
        raise refusal_of(error) from error
    if read.error:
        raise CannotSend("unreadable", _("This message can't be read just now. Nothing was changed."))
    return _saying(content, read, files_in(read.parts))


def _saying(content: SealedContent, read: ReadMessage, files: Sequence[MessageFile]) -> NewMessage:
    """A new message with the text of another one, and with these of its files."""
    text = read.text or read.fallback
    if files_in(read.parts) and not any(part.get("kind") in TEXT_KINDS for part in read.parts):
        # The agent names a file instead of a text.
        text = ""
    facets = () if "\r" in text else [facet for facet in read.facets if facet.type == "link"]
    return NewMessage(text, facets=facets, carried=[CarriedFile(content, file.part) for file in files])


def forward_to(
    account: Account, message_id: str, recipients: Sequence[str], token: str, *, now: datetime
) -> Message | PendingMessage:
    """Pass a message on to these people (DIDs), as soon as that can't be taken back any more; their
    conversation's setting says how long it stays, and where they have none yet, it begins one.

    Files stay where they are kept, and for as long. Raises NotFound, CannotSend.
    """
    if before := _passed_on_before(account, token):
        return before
    return _pass_on(account, message_id, passable(account, message_id, now=now), recipients, token, now)


def forward_to_each(
    account: Account,
    message_id: str,
    of_each: Sequence[Sequence[str]],
    token: str,
    *,
    now: datetime,
) -> list[Message | PendingMessage | CannotSend]:
    """Pass a message on to several sets of people (DIDs), to each in a message of its own, as in
    ``forward_to``: what became of each, in their order. That one can't be sent stops no other.

    The same ``token`` again sends to nobody again who was among them before. Raises NotFound, and CannotSend
    where nothing can be passed on to anybody.
    """
    tokens = [token_of(token, recipients) for recipients in of_each]
    before = [_passed_on_before(account, each) for each in tokens]
    if all(before):
        return [each for each in before if each]
    found = passable(account, message_id, now=now)
    became: list[Message | PendingMessage | CannotSend] = []
    for recipients, its_token, earlier in zip(of_each, tokens, before, strict=True):
        try:
            became.append(
                earlier or _pass_on(account, message_id, found, recipients, its_token, now),
            )
        except CannotSend as refused:
            became.append(refused)
    return became


def token_of(token: str, recipients: Sequence[str]) -> str:
    """Of a page's token the one for these of those whom it names. Raises CannotSend."""
    return str(uuid5(NAMESPACE_URL, f"{checked_token(token)}/{' '.join(sorted(set(recipients)))}"))


def _passed_on_before(account: Account, token: str) -> Message | PendingMessage | None:
    return sent_before(account, token) or keeping_back.by_token(account, token)


def _pass_on(
    account: Account,
    message_id: str,
    found: Passable,
    recipients: Sequence[str],
    token: str,
    now: datetime,
) -> Message | PendingMessage:
    new, conversation = found.message, with_people(account, recipients)
    if expires := disappearing.chosen(conversation):
        new = replace(new, expires=expires)
    sent: Message | PendingMessage
    if held_for := keeping_back.undo_time(account):
        names = [file.name or file.media_type for file in found.files]
        sent = keeping_back.hold_forwarded(
            account, recipients, message_id, new, names, token, held_for=held_for, now=now
        )
    else:
        sent = send_message(account, recipients, new, token, now=now)
    note_passed_on(account, [file.content_hash for file in found.files])
    return sent


def _is_kept(account: Account, file: MessageFile, now: datetime) -> bool:
    """Whether a file may still be had; of other people's servers only its time is known."""
    if file.data is not None:
        return True
    removed = Blob.objects.filter(
        account=account, content_hash=file.content_hash, removed_at__isnull=False
    ).exists()
    return not removed and not file.expired(now)
