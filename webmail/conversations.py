"""Conversations: which there are, and the list that pages show."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Exists, Q, QuerySet, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.agent import agent
from accounts.models import Account
from accounts.prepared_rows import PreparedRows
from crypto_agent.client import AgentError, AgentLocked, ReadMessage, SealedContent
from webmail import conversation_pages, drafts, groups, progress
from webmail.conversation_pages import Cursor, Filter
from webmail.edits import newest_edits
from webmail.models import Conversation, Draft, Message
from webmail.opened import note_silence
from webmail.people import Person, people_of
from webmail.text_direction import as_the_page, isolated

#: Characters of the last message that the list shows.
PREVIEW_LENGTH = 100
#: What the list needs of its rows: fifty of them with four others each are most of what the database is
#: asked for.
_LISTED = (
    *("account", "conversation_id", "participants", "last_activity", "unread_count", "undelivered"),
    *("unread_mentions", "mentions_muted"),
    *("pinned", "muted", "archived_at", "left_at", "last_message", "named_by", "pictured_by"),
    *(
        f"last_message__{name}"
        for name in ("conversation", "message_id", "direction", "state", "sender_did", "trust", "sealed")
    ),
    *("named_by__message_id", "named_by__sealed", "pictured_by__message_id"),
    *("draft__conversation", "draft__draft_id", "draft__sealed"),
)

_BY_ID = PreparedRows(
    lambda account, conversation_id: Conversation.objects.select_related("named_by", "pictured_by").filter(
        account=account, conversation_id=conversation_id
    )
)


#: Rows of a page of the list: more than a screen holds, since the next ones come by themselves.
PAGE = 30
#: People whose names make the title of a conversation without one; of the others it says how many.
MOST_IN_TITLE = 20


def _all_listed(account: int) -> QuerySet[Conversation]:
    """What pages of the account's list are made of, in no order."""
    new_drafts = Exists(Draft.objects.filter(account=account, conversation=None))
    rows = in_list(account).annotate(new_drafts=new_drafts)
    rows = rows.filter(Q(last_message__isnull=False) | Q(draft__isnull=False))
    return rows.select_related("last_message", "draft", "named_by", "pictured_by").only(*_LISTED)


#: The first page, which nearly every page has beside it, and the row after it.
_FIRST_PAGE = PreparedRows(
    lambda account: conversation_pages.ordered(_all_listed(account), "all")[: PAGE + 1]
)


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
    #: Whether it is shut because the account's keys are locked.
    locked: bool = False
    #: Whether it is shut because the agent opens nothing just now.
    waits: bool = False
    #: What is being written there; "" where it can't be shown, None where there is nothing.
    draft: str | None = None
    pinned: bool = False
    muted: bool = False
    #: Whether mentions are no news there either, while it is muted.
    mentions_muted: bool = False
    archived: bool = False
    #: Whether it is a group that the account left.
    left: bool = False
    #: Of the only other one, if it says more than the title; empty without one.
    handle: str = ""
    #: The name that somebody gave a group; empty where nobody did, or it can't be read.
    name: str = ""
    #: The id of the message that gave a group its picture; empty without one.
    picture: str = ""
    #: Messages that somebody did not get, and that the account has not looked at since.
    undelivered: int = 0
    #: Whether the last message waits until the account's owner has looked at somebody's keys.
    held: bool = False
    #: Whether the last message is for its writer alone, and so only kept.
    alone: bool = False
    #: How many unread messages mention the account.
    mentions: int = 0

    @property
    def mentioned(self) -> bool:
        return self.mentions > 0


@dataclass(frozen=True)
class ConversationList:
    rows: list[ConversationRow]
    #: Pass as `after` for the next page; None where there is none.
    cursor: Cursor | None
    #: Of those further down the ones that were asked for as well, in the same order.
    below: list[ConversationRow]
    #: Whether new conversations may be being written.
    new_drafts: bool
    #: Everybody in them, by DID.
    people: Mapping[str, Person] = field(default_factory=dict)


def find(account: Account, conversation_id: str) -> Conversation:
    """The account's conversation with this id (hex). Raises NotFound."""
    found = _BY_ID.one(account.pk, conversation_id)
    if found is None:
        raise NotFound(conversation_id)
    return found


def with_people(account: Account, dids: Sequence[str]) -> Conversation | None:
    """The account's conversation with exactly these people, if there is one."""
    participants = sorted({account.did, *dids})
    return Conversation.objects.filter(account=account, participants=participants).first()


def list_conversations(
    account: Account,
    *,
    filter: Filter = "all",
    after: Cursor | None = None,
    names: str = "",
    limit: int = PAGE,
    in_view: Collection[str] = (),
) -> ConversationList:
    """The account's conversations, pinned ones first, then the newest first, in a constant number of queries
    and one agent call. `names` narrows them to those with somebody of each of these names or handles; those
    with ids that are `in_view` come as well if they are further down."""
    if (filter, after, names, limit) == ("all", None, "", PAGE):
        found, cursor = conversation_pages.cut(_FIRST_PAGE.rows(account.pk), filter, limit)
    else:
        rows = _all_listed(account.pk)
        rows = conversation_pages.with_names(rows, names) if names else rows
        found, cursor = conversation_pages.page(rows, filter=filter, after=after, limit=limit)
    if not found:
        return ConversationList([], None, [], new_drafts=True)
    listed = len(found)
    if further := {*in_view} - {row.conversation_id for row in found}:
        rows = conversation_pages.ordered(_all_listed(account.pk), filter, after)
        found = [*found, *rows.filter(conversation_id__in=further)]
    last = [row.last_message for row in found if row.last_message]
    progress.prefetch(last)
    people = people_of({did for row in found for did in (*row.participants, account.did)})
    read = _read(account, found)
    written = drafts.in_conversations(account, found)
    rows_shown = [
        replace(_row(account, row, people, read, row.last_message), draft=written.get(row.pk))
        for row in found
    ]
    return ConversationList(
        rows=rows_shown[:listed],
        cursor=cursor,
        below=rows_shown[listed:],
        new_drafts=bool(vars(found[0])["new_drafts"]),
        people=people,
    )


def row(
    account: Account, conversation: Conversation, people: Mapping[str, Person] | None = None
) -> ConversationRow:
    """One conversation without what was said last in it; ``people`` are those in it, where they are known
    already. The agent is asked for nothing but the name of a group that has one."""
    people = people or people_of([*conversation.participants, account.did])
    return _row(account, conversation, people, _read(account, [conversation], with_last=False), None)


def in_list(account: Account | int) -> QuerySet[Conversation]:
    """The conversations that the account agreed to, and that no block leaves out."""
    return Conversation.objects.filter(
        account=account, standing=Conversation.Standing.ACCEPTED, blocked=False
    )


def only_archived(account: Account, filter: Filter) -> bool:
    """Of a tab that shows nothing: whether what it would show is there, but archived."""
    if filter == "archived":
        return False
    rows = _all_listed(account.pk).filter(archived_at__isnull=False)
    return (rows.filter(unread_count__gt=0) if filter == "unread" else rows).exists()


def with_news(account: Account | int) -> QuerySet[Conversation]:
    """The conversations that hold something unread, without those that are muted or archived."""
    return in_list(account).filter(unread_count__gt=0, muted=False, archived_at=None)


def unread_messages(account: Account) -> int:
    """How many messages are unread in them."""
    return with_news(account).aggregate(number=Sum("unread_count"))["number"] or 0


def others_in(account: Account, conversation: Conversation) -> list[str]:
    """The DIDs a reply goes to; the account's own in its notes to itself."""
    return [did for did in conversation.participants if did != account.did] or [account.did]


@dataclass(frozen=True)
class _Read:
    """What the agent read, by conversations' keys: their last messages as they are now, and their names."""

    last: Mapping[int, ReadMessage] = field(default_factory=dict)
    names: Mapping[int, ReadMessage] = field(default_factory=dict)


def _read(account: Account, found: Sequence[Conversation], *, with_last: bool = True) -> _Read:
    """What the rows of conversations show, in one call; nothing when the agent does not answer.

    Raises crypto_agent.client.AgentLocked if it was not known before that the keys are locked.
    """
    if account.locked_here:
        return _Read()
    written = [(row, row.last_message) for row in found if row.last_message] if with_last else []
    edits = newest_edits([message for _row, message in written])
    last = [(row, edits.get(message.pk, message)) for row, message in written]
    last = [(row, message) for row, message in last if message.trust in Message.VOUCHED_FOR]
    names = [(row, row.named_by) for row in found if row.named_by and groups.is_group(row)]
    items = [
        SealedContent(row.conversation_id, message.message_id, bytes(message.sealed))
        for row, message in [*last, *names]
    ]
    try:
        read = agent().read(account.did, items) if items else []
    except AgentLocked:
        raise
    except AgentError as error:
        note_silence(account, error)
        return _Read()
    keys = [row.pk for row, _message in [*last, *names]]
    answers = list(zip(keys, read, strict=True))
    return _Read(dict(answers[: len(last)]), dict(answers[len(last) :]))


def _row(
    account: Account,
    conversation: Conversation,
    people: Mapping[str, Person],
    found: _Read,
    last: Message | None,
) -> ConversationRow:
    read = found.last.get(conversation.pk)
    name = groups.name_in(found.names.get(conversation.pk))
    others = [people[did] for did in others_in(account, conversation)]
    own = bool(last and last.direction == Message.Direction.OUT)
    state = progress.of_message(last, people) if last and own else None
    return ConversationRow(
        id=conversation.conversation_id,
        title=name or title_of(account, conversation, people),
        people=others,
        group=len(others) > 1,
        preview=_preview(read) if last else "",
        preview_by=_preview_by(last, own, len(others) > 1, people),
        time=conversation.last_activity,
        unread=conversation.unread_count,
        mentions=conversation.unread_mentions,
        steps=state.steps if state else None,
        state_words=state.words if state else "",
        failure=state.failure if state else None,
        shut=last is not None and (read is None or read.error is not None),
        locked=account.locked_here,
        waits=bool(account.agent_silence),
        pinned=conversation.pinned,
        muted=conversation.muted,
        mentions_muted=conversation.mentions_muted,
        archived=conversation.archived_at is not None,
        left=conversation.left_at is not None,
        handle=_handle(account, others),
        name=name,
        picture=picture_of(account, conversation),
        undelivered=conversation.undelivered,
        held=bool(state and state.held),
        alone=bool(state and state.alone),
    )


def _handle(account: Account, others: Sequence[Person]) -> str:
    alone = others[0] if len(others) == 1 and others[0].did != account.did else None
    return alone.handle if alone is not None and alone.handle not in (alone.name, alone.did) else ""


def picture_of(account: Account, conversation: Conversation) -> str:
    """The id of the message that gave a group its picture; empty without one, and while it can't be shown."""
    picture = conversation.pictured_by
    shown = picture is not None and groups.is_group(conversation) and not account.locked_here
    return picture.message_id if picture is not None and shown else ""


def title_of(account: Account, conversation: Conversation, people: Mapping[str, Person]) -> str:
    """What a conversation without a name of its own is called: the others' names."""
    others = [did for did in conversation.participants if did != account.did]
    if not others:
        return _("Notes to self")
    if len(others) == 1:
        return people[others[0]].name
    names = [isolated(people[did].name) for did in others[:MOST_IN_TITLE]]
    if len(others) > MOST_IN_TITLE:
        more = len(others) - MOST_IN_TITLE
        sentence = ngettext("%(names)s and %(n)d more", "%(names)s and %(n)d more", more)
        return as_the_page(sentence % {"names": ", ".join(names), "n": more})
    *first, last = names
    return as_the_page(_("%(first)s and %(last)s") % {"first": ", ".join(first), "last": last})


def _preview(read: ReadMessage | None) -> str:
    if read is None or read.error:
        return _("A message that is not open")
    if read.tombstone:
        return _("A message was taken back")
    text = read.text or read.fallback
    if not text:
        return _("A file") if any(part.get("kind") == 3 for part in read.parts) else _("A message")
    return " ".join(text.split())[:PREVIEW_LENGTH]


def _preview_by(last: Message | None, own: bool, group: bool, people: Mapping[str, Person]) -> str | None:
    if last is None:
        return None
    if own:
        return _("You")
    return people[last.sender_did].name if group and last.sender_did in people else None
