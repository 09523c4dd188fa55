"""Conversations: which there are, how a message takes its place in one, the list that pages show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import transaction
from django.db.models import Prefetch
from django.utils.translation import gettext as _

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError, ReadMessage, SealedContent
from webmail import events, progress
from webmail.edits import newest_edits
from webmail.models import Conversation, Delivery, Message
from webmail.people import Person, people_of

Filter = Literal["all", "unread"]

#: Characters of the last message that the list shows.
PREVIEW_LENGTH = 140


class NotFound(Exception):
    """The account has no such conversation or message."""


@dataclass(frozen=True)
class ConversationRow:
    """One line of the list. `people` are the others; an account's notes to itself have the account."""

    id: str
    title: str
    people: list[Person]
    group: bool
    preview: str
    preview_by: str | None
    time: datetime
    unread: int
    steps: int | None
    state_words: str
    failure: str | None
    shut: bool


@dataclass(frozen=True)
class ConversationList:
    rows: list[ConversationRow]
    more: bool
    #: Pass as `before` for the next page.
    cursor: datetime | None


def conversation_for(
    account: Account, conversation_id: str, participants: Iterable[str], now: datetime
) -> Conversation:
    """The account's conversation with this id (hex), made if it is new. Call within a transaction."""
    conversation, _created = Conversation.objects.get_or_create(
        account=account,
        conversation_id=conversation_id,
        defaults={"participants": sorted({account.did, *participants}), "last_activity": now},
    )
    return conversation


def place(message: Message) -> None:
    """Let a stored message count in its conversation: newest, preview, unread. Call within a transaction,
    once for each message."""
    conversation = Conversation.objects.select_for_update().get(pk=message.conversation_id)
    newest = conversation.last_message_id is None or message.placed_at >= conversation.last_activity
    if message.shown and newest:
        conversation.last_activity = message.placed_at
        conversation.last_message = message
    if message.unread:
        conversation.unread_count += 1
    conversation.save(update_fields=["last_activity", "last_message", "unread_count"])


def find(account: Account, conversation_id: str) -> Conversation:
    """The account's conversation with this id (hex). Raises NotFound."""
    conversation = Conversation.objects.filter(account=account, conversation_id=conversation_id).first()
    if conversation is None:
        raise NotFound(conversation_id)
    return conversation


def with_people(account: Account, dids: Sequence[str]) -> Conversation | None:
    """The account's conversation with exactly these people, if there is one."""
    participants = sorted({account.did, *dids})
    return Conversation.objects.filter(account=account, participants=participants).first()


def list_conversations(
    account: Account, *, filter: Filter = "all", before: datetime | None = None, limit: int = 50
) -> ConversationList:
    """The account's conversations, newest first, in a constant number of queries and one agent call."""
    rows = Conversation.objects.filter(account=account, last_message__isnull=False)
    if filter == "unread":
        rows = rows.filter(unread_count__gt=0)
    if before:
        rows = rows.filter(last_activity__lt=before)
    deliveries = Prefetch("last_message__deliveries", Delivery.objects.all())
    found = list(rows.select_related("last_message").prefetch_related(deliveries)[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    people = people_of({did for row in found for did in row.participants} | {account.did})
    read = _read_last(account, found)
    return ConversationList(
        rows=[_row(account, row, people, read.get(row.pk)) for row in found],
        more=more,
        cursor=found[-1].last_activity if found else None,
    )


def row(account: Account, conversation: Conversation) -> ConversationRow:
    """One conversation as the list shows it."""
    people = people_of([*conversation.participants, account.did])
    return _row(account, conversation, people, _read_last(account, [conversation]).get(conversation.pk))


def unread_total(account: Account) -> int:
    """How many conversations hold something unread."""
    return Conversation.objects.filter(account=account, unread_count__gt=0).count()


def mark_read(account: Account, conversation: Conversation) -> bool:
    """Everything in the conversation has been seen; tells other open pages. True if anything changed."""
    unread = Message.objects.filter(conversation=conversation, unread=True)
    if not unread.exists():
        return False
    with transaction.atomic():
        # What is being placed waits, and counts afterwards.
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        changed = unread.update(unread=False)
        Conversation.objects.filter(pk=conversation.pk).update(unread_count=0)
    if changed:
        events.publish(account.pk, "conversations")
    return bool(changed)


def others_in(account: Account, conversation: Conversation) -> list[str]:
    """The DIDs a reply goes to; the account's own in its notes to itself."""
    return [did for did in conversation.participants if did != account.did] or [account.did]


def _read_last(account: Account, found: Sequence[Conversation]) -> dict[int, ReadMessage]:
    """What the last messages say now, by conversation; nothing when the agent does not answer."""
    edits = newest_edits([row.last_message for row in found if row.last_message])
    readable = [
        (row.pk, row.conversation_id, edits.get(row.last_message.pk, row.last_message))
        for row in found
        if row.last_message and row.last_message.trust in Message.VOUCHED_FOR
    ]
    items = [
        SealedContent(conversation_id, message.message_id, bytes(message.sealed))
        for _pk, conversation_id, message in readable
    ]
    try:
        read = agent().read(account.did, items) if items else []
    except AgentError:
        return {}
    return {pk: answer for (pk, _id, _message), answer in zip(readable, read, strict=True)}


def _row(
    account: Account, conversation: Conversation, people: dict[str, Person], read: ReadMessage | None
) -> ConversationRow:
    last = conversation.last_message
    others = [people[did] for did in others_in(account, conversation)]
    own = bool(last and last.direction == Message.Direction.OUT)
    state = progress.of_message(last, people) if last and own else None
    return ConversationRow(
        id=conversation.conversation_id,
        title=title_of(account, conversation, people),
        people=others,
        group=len(others) > 1,
        preview=_preview(read),
        preview_by=_preview_by(last, own, len(others) > 1, people),
        time=conversation.last_activity,
        unread=conversation.unread_count,
        steps=state.steps if state else None,
        state_words=state.words if state else "",
        failure=state.failure if state else None,
        shut=read is None or read.error is not None,
    )


def title_of(account: Account, conversation: Conversation, people: dict[str, Person]) -> str:
    """What a conversation is called: the others' names."""
    others = [did for did in conversation.participants if did != account.did]
    if not others:
        return _("Notes to self")
    names = [people[did].name for did in others]
    if len(names) == 1:
        return names[0]
    return _("%(first)s and %(last)s") % {"first": ", ".join(names[:-1]), "last": names[-1]}


def _preview(read: ReadMessage | None) -> str:
    if read is None or read.error:
        return _("A message that is not open")
    if read.tombstone:
        return _("A message was taken back")
    text = read.text or read.fallback
    if not text:
        return _("A file") if any(part.get("kind") == 3 for part in read.parts) else _("A message")
    return " ".join(text.split())[:PREVIEW_LENGTH]


def _preview_by(last: Message | None, own: bool, group: bool, people: dict[str, Person]) -> str | None:
    if last is None:
        return None
    if own:
        return _("You")
    return people[last.sender_did].name if group and last.sender_did in people else None


def recount(account: Account) -> None:
    """Bring last message and unread count of all the account's conversations in line with their messages."""
    for pk in Conversation.objects.filter(account=account).values_list("pk", flat=True):
        with transaction.atomic():
            conversation = Conversation.objects.select_for_update().get(pk=pk)
            last = conversation.messages.filter(shown=True).order_by("-placed_at", "-pk").first()
            conversation.last_message = last
            conversation.last_activity = last.placed_at if last else conversation.last_activity
            conversation.unread_count = conversation.messages.filter(unread=True).count()
            conversation.save(update_fields=["last_message", "last_activity", "unread_count"])
