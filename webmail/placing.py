"""How messages take their place: the conversations that they are written in, begun where those are new, and
what counts there. Many at a time take no more queries than one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from webmail import consent, contacts, mentions
from webmail.blocked import blocked_since, leaves_list
from webmail.conversations import others_in
from webmail.models import Conversation, ConversationMember, Message

Standing = Conversation.Standing

_BY_IDS = PreparedRows(
    lambda account, *ids: Conversation.objects.filter(account=account, conversation_id__in=ids)
)


@dataclass(frozen=True)
class Writing:
    """Something that is written in a conversation, by its id (hex), with these people in it.

    `written_by` is the DID of whoever writes in it now, if anybody does. One in which the account writes is
    accepted, and so are its people; one that somebody else begins is a request, unless they may begin one.
    Without `checked` the writer is only said to be the writer, the account itself included. What the account
    writes `later` may still be taken back: its people are not accepted by it yet.
    """

    conversation_id: str
    participants: Sequence[str]
    at: datetime
    written_by: str | None = None
    checked: bool = True
    later: bool = False

    def is_own(self, account: Account) -> bool:
        """Whether the account writes."""
        return self.checked and self.written_by == account.did

    def is_said(self, account: Account) -> bool:
        """Whether the account writes, and it goes out now."""
        return self.is_own(account) and not self.later


def conversation_for(
    account: Account,
    conversation_id: str,
    participants: Iterable[str],
    now: datetime,
    *,
    written_by: str | None = None,
    later: bool = False,
) -> Conversation:
    """The account's conversation with this id (hex), as in ``conversations_for``."""
    writing = Writing(conversation_id, list(participants), now, written_by=written_by, later=later)
    (found,) = conversations_for(account, [writing])
    return found


def conversations_for(account: Account, writings: Sequence[Writing]) -> list[Conversation]:
    """The conversations that are written in, one after the other, made where they are new; one for each
    writing, the same object for the same conversation. Call within a transaction."""
    found = _found(account, writings)
    if any(writing.conversation_id not in found for writing in writings):
        _begin(account, writings, found)
        found = _found(account, writings)
    written = [(writing, found[writing.conversation_id]) for writing in writings]
    own = [(writing, row) for writing, row in written if writing.is_own(account)]
    said = [(writing, row) for writing, row in own if writing.is_said(account)]
    contacts.know(account, _seen(account, written), accepted=_seen(account, said).keys())
    _agree([row for _writing, row in own])
    return [conversation for _writing, conversation in written]


def place(messages: Sequence[Message]) -> None:
    """Let stored messages of one account count in their conversations: newest, preview, unread, mentions.

    Call within a transaction, once for each message. What is new brings an archived conversation back, unless
    it is muted or was left; a muted one comes back for a mention where these are news.
    """
    keys = {message.conversation_id for message in messages}
    rows = Conversation.objects.select_for_update().filter(pk__in=keys).order_by("pk") if keys else ()
    conversations = {row.pk: row for row in rows}
    for message in messages:
        _count(conversations[message.conversation_id], message)
    _count_mentions(messages, conversations)
    # They are there, so this updates them; bulk_update() takes Django ten times as long to put together.
    Conversation.objects.bulk_create(
        conversations.values(),
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=[
            *("last_activity", "last_message", "unread_count", "unread_mentions", "archived_at"),
        ],
    )


def _count(conversation: Conversation, message: Message) -> None:
    newest = conversation.last_message_id is None or message.placed_at >= conversation.last_activity
    if message.shown and newest:
        conversation.last_activity = message.placed_at
        conversation.last_message = message
    if message.unread:
        conversation.unread_count += 1
    stays = conversation.muted or conversation.left_at is not None
    if not stays and ((message.shown and newest) or message.unread):
        conversation.archived_at = None


def _count_mentions(messages: Sequence[Message], conversations: Mapping[int, Conversation]) -> None:
    changed = [conversations[pk] for pk in mentions.changed_by(messages, conversations)]
    counts = mentions.unread_in(changed)
    for conversation in changed:
        mentions.note(conversation, counts[conversation.pk])


def _found(account: Account, writings: Sequence[Writing]) -> dict[str, Conversation]:
    ids = {writing.conversation_id for writing in writings}
    return {row.conversation_id: row for row in (_BY_IDS.rows(account.pk, *ids) if ids else ())}


def _begin(account: Account, writings: Sequence[Writing], found: dict[str, Conversation]) -> None:
    """Make those that are not there, each as it is when its turn comes: what the account writes lets people
    begin what comes after it."""
    since = blocked_since(account)
    door = consent.door_of(account, {writing.written_by for writing in writings if writing.written_by})
    begun: dict[str, Conversation] = {}
    for writing in writings:
        conversation = found.get(writing.conversation_id) or begun.get(writing.conversation_id)
        if conversation is None:
            participants, writer = sorted({account.did, *writing.participants}), writing.written_by or ""
            may_begin = not writer or door.is_open_to(writer, checked=writing.checked)
            conversation = begun[writing.conversation_id] = Conversation(
                account=account,
                conversation_id=writing.conversation_id,
                participants=participants,
                last_activity=writing.at,
                started_by=writer,
                standing=Standing.ACCEPTED if may_begin else Standing.REQUEST,
                blocked=leaves_list(since, account.did, writer, participants),
            )
        if writing.is_said(account):
            door.accept(conversation.participants)
    # Another process may begin the same at the same moment; then that one is as good.
    Conversation.objects.bulk_create(begun.values(), ignore_conflicts=True)
    made = Conversation.objects.filter(account=account, conversation_id__in=begun)
    ConversationMember.objects.bulk_create(
        (ConversationMember(conversation=row, did=did) for row in made for did in others_in(account, row)),
        ignore_conflicts=True,
    )


def _agree(conversations: Sequence[Conversation]) -> None:
    asked = [row for row in conversations if row.standing != Standing.ACCEPTED]
    if asked:
        Conversation.objects.filter(pk__in={row.pk for row in asked}).update(standing=Standing.ACCEPTED)
    for row in asked:
        row.standing = Standing.ACCEPTED


def _seen(account: Account, written: Iterable[tuple[Writing, Conversation]]) -> dict[str, datetime]:
    """When people were seen first: whoever wrote, and those to whom the account wrote."""
    first: dict[str, datetime] = {}
    for writing, conversation in written:
        others = [writing.written_by] if writing.written_by else []
        for did in conversation.participants if writing.is_own(account) else others:
            first.setdefault(did, writing.at)
    return first
