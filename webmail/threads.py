"""What a conversation page shows: messages with their text, in order, with days and runs marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from django.db.models import Q
from django.utils import timezone

from accounts.models import Account
from crypto_agent.client import ReadMessage
from webmail import groups, progress, reasons
from webmail.blobs.fetching import FILE_KIND, MessageFile, files_in
from webmail.conversation_keys import NO_KEYS, ConversationKeys, keys_in
from webmail.conversations import ConversationRow, NotFound, row
from webmail.images import showing
from webmail.key_notes import KeyNote, notes_before
from webmail.models import Conversation, Message
from webmail.opened import read_messages
from webmail.people import Person, people_of
from webmail.previews.received import has_picture
from webmail.quotes import Quote, quote_of
from webmail.reactions import Reaction, reactions_of
from webmail.related import related_to, version_of
from webmail.text import Segment, host_of, is_emoji_only, segments_of, web_address
from webmail.thread_places import Place, place_alone, places_of
from webmail.thread_window import NEWEST, PAGE, At, Window, previous_of, shown, window
from webmail.topic_list import Topic, names_by_message

#: Parts that hold text (protocol §5).
TEXT_KIND, SMS_KIND = 1, 10


@dataclass(frozen=True)
class FilePart:
    """A file of a message. `part` is its place there, `expires_at` when its server stops giving it out."""

    part: int
    name: str
    media_type: str
    size: int
    expires_at: datetime | None
    expired: bool
    #: An image that may be shown: "here", or "elsewhere" if that tells another server; else "".
    image: Literal["here", "elsewhere", ""] = ""
    #: The room that it gets.
    width: int = 0
    height: int = 0

    @property
    def shown_type(self) -> str:
        """Its media type where nothing else says what it is; empty where its name ends in what does."""
        ending = PurePosixPath(self.name).suffix.removeprefix(".")
        says_it = ending.isalnum() and not ending.isdecimal()
        return self.media_type if self.name and not says_it else ""


@dataclass(frozen=True)
class Preview:
    """What the sender says of a page that the message leads to; `host` is where it really leads."""

    url: str
    host: str
    title: str
    description: str
    #: Whether a picture came along in the message.
    picture: bool = False


#: Why the agent opens nothing for a while.
_PASSING = ("AgentSealed", "LimitReached")


@dataclass(frozen=True)
class Entry:
    """One message of a thread. `shut` says why its text is not shown; everything else may be shown."""

    id: str
    own: bool
    sender: Person
    segments: list[Segment]
    files: list[FilePart]
    emoji_only: bool
    degraded: bool
    tombstone: bool
    edited: bool
    shut: str | None
    created_at: datetime
    placed_at: datetime
    trust: str
    state: progress.Progress | None
    first_of_run: bool = True
    last_of_run: bool = True
    day: date | None = None
    unread: bool = False
    first_unread: bool = False
    can_retry: bool = field(default=False)
    #: What a line in the place of a bubble says: that the group got a name, or a picture.
    event: str = ""
    quote: Quote | None = None
    reactions: list[Reaction] = field(default_factory=list)
    #: Another one as soon as something of it changes that does not stand in its state.
    version: str = ""
    #: Seconds after reading at which it disappears, and when that is; 0 and None for one that stays.
    expires_after: int = 0
    expires_at: datetime | None = None
    saved: bool = False
    preview: Preview | None = None
    #: Signed with a device that was no part of what the account's owner compared.
    not_compared: bool = False
    #: What was seen to change about people's keys since the message before.
    key_notes: tuple[KeyNote, ...] = ()
    topic: Topic | None = None
    #: Whether nothing is wrong with it: it is shut until the agent opens messages again.
    waits: bool = False

    @property
    def disappears(self) -> bool:
        return bool(self.expires_after or self.expires_at)

    @property
    def open(self) -> bool:
        """Whether there is something to answer, react to or pass on."""
        return not self.shut and not self.tombstone

    @property
    def text(self) -> str:
        """What was written, as one text."""
        return "".join(segment.text for segment in self.segments)

    @property
    def vouched_for(self) -> bool:
        """Whether it may be called signed."""
        return self.trust in Message.VOUCHED_FOR


@dataclass(frozen=True)
class Thread:
    conversation: ConversationRow
    entries: list[Entry]
    #: Pass as `before` for older messages; None at the beginning.
    older_cursor: str | None
    #: Pass as `after` for newer messages; None at the end.
    newer_cursor: str | None = None
    keys: ConversationKeys = NO_KEYS
    #: The key of the topic whose messages alone these are.
    topic: str = ""

    @property
    def unread(self) -> list[str]:
        """The ids of the unread ones among them, without those that the agent did not open."""
        return [entry.id for entry in self.entries if entry.unread and not entry.waits]


def thread(
    account: Account,
    conversation: Conversation,
    at: At = NEWEST,
    *,
    before: str | None = None,
    limit: int = PAGE,
    known: Mapping[str, Person] | None = None,
) -> Thread:
    """A page of a conversation: its newest messages unless `at` says which; `before` is short for that.

    `known` are people whom the caller has looked up already. Raises NotFound for a message that the
    conversation does not have.
    """
    at = replace(at, around=None, after=None, before=before) if before else at
    found = window(conversation, at, limit=limit)
    keys = keys_in(account, conversation)
    if account.locked_here:
        return Thread(row(account, conversation), [], None, keys=keys, topic=at.topic)
    people = _people_in(account, conversation, found.messages, known or {})
    return Thread(
        conversation=row(account, conversation, people),
        entries=_entries(account, conversation, found.messages, found, people, keys),
        older_cursor=found.messages[0].message_id if found.older and found.messages else None,
        newer_cursor=found.messages[-1].message_id if found.newer and found.messages else None,
        keys=keys,
        topic=at.topic,
    )


def entries_after(
    account: Account, conversation: Conversation, after: str, *, topic: str = ""
) -> list[Entry]:
    """What came after the message with the hex id `after`; everything recent when that is not known."""
    try:
        found = window(conversation, At(after=after, topic=topic), limit=200)
    except NotFound:
        found = window(conversation, At(topic=topic))
    return _entries(account, conversation, found.messages, found)


def entry(account: Account, message_id: str, *, topic: str = "") -> Entry:
    """One message as its thread, or one topic of it, shows it. Raises NotFound."""
    message = _find(account, message_id)
    found = entries_of(account, message.conversation, [message_id], topic=topic)
    if not found:
        raise NotFound(message_id)
    return found[0]


def entries_of(
    account: Account, conversation: Conversation, message_ids: Sequence[str], *, topic: str = ""
) -> list[Entry]:
    """Single messages of a thread, or of one topic of it, as it shows them, without days; those it does not
    have are left out."""
    rows = shown(conversation, topic).filter(account=account, message_id__in=message_ids)
    messages = list(rows.order_by("placed_at", "pk"))
    progress.prefetch(messages)
    places = [place_alone(message, previous_of(conversation, message, topic)) for message in messages]
    return _entries(account, conversation, messages, places=places)


def _find(account: Account, message_id: str) -> Message:
    found = (
        Message.objects.filter(account=account, message_id=message_id, replaces="")
        .filter(Q(shown=True) | ~Q(changes_group=""), forgotten_at=None)
        .select_related("conversation")
        .first()
    )
    if found is None:
        raise NotFound(message_id)
    return found


def _entries(
    account: Account,
    conversation: Conversation,
    messages: Sequence[Message],
    found: Window | None = None,
    people: Mapping[str, Person] | None = None,
    keys: ConversationKeys | None = None,
    places: Sequence[Place] | None = None,
) -> list[Entry]:
    """``places`` are found for messages that follow each other."""
    if places is None:
        places = places_of(messages, found.previous if found else None, bool(found and found.unread_before))
    keys = keys or keys_in(account, conversation)
    notes = notes_before(conversation, keys.events, messages, found) if found else {}
    related = related_to(messages)
    progress.prefetch_versions(messages, related.latest)
    read = read_messages(account, conversation, related.to_read(messages))
    authors = {message.sender_did for message in [*messages, *related.quoted.values()]}
    reacting = {row.sender_did for rows in related.reactions.values() for row in rows}
    people = dict(people or {})
    if unknown := {*conversation.participants, *authors, *reacting} - people.keys():
        people |= people_of(unknown)
    # Who may be mentioned: nobody from elsewhere is called by a name here.
    names = {did: people[did].name for did in conversation.participants}
    near = frozenset(message.pk for message in messages)
    firsts = {key: read.get(related.newest(first).pk) for key, first in related.firsts.items()}
    topics = names_by_message(messages, firsts, conversation)
    locked = reasons.of_kept_aside("locked") if account.locked_here else None
    return [
        _entry(
            message,
            conversation,
            place,
            related.latest.get(message.pk),
            read.get(related.newest(message).pk),
            people,
            names,
            "" if message.direction == Message.Direction.OUT else account.did,
            locked,
            quote=quote_of(message, related, read, people, near),
            reactions=reactions_of(message, related, read, people, account.did),
            version=version_of(message, related),
            not_compared=keys.not_compared(message),
            key_notes=notes.get(message.pk, ()),
            topic=topics.get(message.pk),
        )
        for message, place in zip(messages, places, strict=True)
    ]


def _people_in(
    account: Account, conversation: Conversation, messages: Sequence[Message], known: Mapping[str, Person]
) -> dict[str, Person]:
    senders = {message.sender_did for message in messages}
    wanted = {account.did, *conversation.participants, *senders}
    unknown = wanted - known.keys()
    return {did: known[did] for did in wanted & known.keys()} | (people_of(unknown) if unknown else {})


def _entry(
    message: Message,
    conversation: Conversation,
    place: Place,
    edit: Message | None,
    read: ReadMessage | None,
    people: Mapping[str, Person],
    names: Mapping[str, str],
    reader: str,
    locked: str | None,
    **more: Any,
) -> Entry:
    """``more`` is what else is known of it, as Entry has it."""
    own = message.direction == Message.Direction.OUT
    shut = _why_shut(message, read)
    text = "" if read is None or shut else written_text(read)
    return Entry(
        id=message.message_id,
        own=own,
        sender=people[message.sender_did],
        segments=segments_of(text, read.facets if read and read.text else (), names, reader),
        files=[] if read is None or shut else _files(read),
        emoji_only=is_emoji_only(text),
        degraded=bool(read and read.degraded),
        tombstone=bool(read and read.tombstone),
        edited=edit is not None and not (read and read.tombstone),
        shut=locked or shut,
        created_at=message.created_at,
        placed_at=message.placed_at,
        trust=message.trust,
        state=state_of(message, conversation, people),
        first_of_run=place.first_of_run,
        last_of_run=place.last_of_run,
        day=place.day,
        unread=message.unread,
        first_unread=place.first_unread,
        can_retry=message.trust == Message.Trust.UNCHECKED,
        event=groups.event_words(message, read, people) if message.changes_group else "",
        expires_after=message.expires_after,
        expires_at=message.expires_at,
        saved=message.saved_at is not None,
        preview=None if read is None or shut else _preview(read),
        waits=message.trust in Message.VOUCHED_FOR and (read is None or read.error in _PASSING),
        **more,
    )


def state_of(
    message: Message, conversation: Conversation, people: Mapping[str, Person]
) -> progress.Progress | None:
    """How far a sent message came, for the line under its bubble; None where there is no such line, as with a
    group's name or picture that has arrived, or is about to."""
    if message.changes_group:
        return progress.trouble_of(message, people) if progress.is_known(message) else None
    note = message.direction == Message.Direction.OUT and conversation.participants == [message.sender_did]
    return progress.of_message(message, people) if note or progress.is_known(message) else None


def _why_shut(message: Message, read: ReadMessage | None) -> str | None:
    if message.trust in (Message.Trust.UNCHECKED, Message.Trust.REFUSED):
        return reasons.of_kept_aside(message.trust_code)
    if read is None:
        return reasons.of_kept_aside("agent-unavailable")
    return reasons.of_kept_aside(read.error) if read.error else None


def _preview(read: ReadMessage) -> Preview | None:
    if read.preview is None or not web_address(read.preview.url):
        return None
    preview = read.preview
    return Preview(
        preview.url,
        host_of(preview.url),
        preview.title or preview.url,
        preview.description or "",
        has_picture(preview),
    )


def _files(read: ReadMessage) -> list[FilePart]:
    now = timezone.now()
    return [_file(file, expired=file.expired(now)) for file in files_in(read.parts)]


def _file(file: MessageFile, *, expired: bool) -> FilePart:
    width, height = showing.room_for(file.pixels)
    image: Literal["here", "elsewhere", ""] = ""
    if showing.may_be_shown(file) and not expired:
        image = "here" if file.is_here else "elsewhere"
    return FilePart(
        part=file.part,
        name=file.name,
        media_type=file.media_type,
        size=file.size,
        expires_at=file.expires_at,
        expired=expired,
        image=image,
        width=width,
        height=height,
    )


def written_text(read: ReadMessage) -> str:
    """The text of a message; nothing where the agent names a file instead, since the file is shown."""
    kinds = {part.get("kind") for part in read.parts}
    if FILE_KIND in kinds and not kinds & {TEXT_KIND, SMS_KIND}:
        return ""
    return read.text or read.fallback or ""
