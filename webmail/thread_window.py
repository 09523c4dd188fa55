"""Which messages of a conversation one page shows: the newest, those before or after one, or around one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.prepared_rows import PreparedRows
from webmail import progress
from webmail.conversations import NotFound
from webmail.models import Conversation, Message
from webmail.topics import messages_of

#: Messages of one page.
PAGE = 50
#: What no page of a thread shows; other code that asks for it gets it by a query of its own.
_NOT_SHOWN = (
    "sender_certificate_pem",
    "trust_checked_at",
    "aside",
    "token",
    "archived_at",
    "indexed_at",
    "forgotten_at",
    "erased_at",
    "next_check_at",
    "check_attempts",
)


#: The newest page, and the message before it.
_NEWEST_PAGE = PreparedRows(
    lambda conversation: _newest_first(_placed(conversation).defer(*_NOT_SHOWN))[: PAGE + 1]
)
#: The page before a message.
_PAGE_BEFORE = PreparedRows(
    lambda conversation, placed_at, pk: _newest_first(
        _earlier(_placed(conversation).defer(*_NOT_SHOWN), placed_at, pk)
    )[: PAGE + 1]
)
# By the account as well, whose index finds a message by its id.
_BY_ID = PreparedRows(
    lambda account, conversation, message_id: Message.objects.filter(
        account=account, conversation=conversation, message_id=message_id
    ).defer(*_NOT_SHOWN)
)


@dataclass(frozen=True)
class At:
    """Where a page of a conversation lies, by hex message ids; the first that is given counts.

    `around` shows that message with what came before and after it, `after` and `before` what follows and
    precedes it. Without any of them the page ends with the newest message; with `unread` it begins a
    little before the first unread one, where that is on an earlier page. With a `topic` it has the messages
    of that one alone.
    """

    around: str | None = None
    after: str | None = None
    before: str | None = None
    topic: str = ""
    unread: bool = False


#: The end of a conversation.
NEWEST = At()


@dataclass(frozen=True)
class Window:
    """Messages in the order of the conversation, and whether there are more on either side.

    `previous` is the message just before those that follow another page, which is not among them;
    `unread_before` says whether it, or one before it, is unread.
    """

    messages: Sequence[Message]
    older: bool
    newer: bool
    previous: Message | None = None
    unread_before: bool = False


def window(conversation: Conversation, at: At = NEWEST, *, limit: int = PAGE) -> Window:
    """At most `limit` messages with their deliveries, in a constant number of queries. Raises NotFound."""
    found = _window(conversation, at, limit)
    progress.prefetch(found.messages)
    return found


def _window(conversation: Conversation, at: At, limit: int) -> Window:
    if not (at.around or at.after or at.before):
        return _at_the_end(conversation, at, limit)
    rows = shown(conversation, at.topic).defer(*_NOT_SHOWN)
    if at.around:
        found = _around(rows, _place(conversation, at.around), limit)
        hidden = _hides_unread(conversation, found)
        return replace(found, unread_before=hidden and _unread_until(rows, found.messages[0]))
    if at.after:
        place = _place(conversation, at.after)
        after, newer = _after(rows, place, limit)
        return Window(after, True, newer, previous=place, unread_before=_unread_until(rows, place))
    assert at.before
    place = _place(conversation, at.before)
    if (at.topic, limit) == ("", PAGE):
        before, older = _backwards(_PAGE_BEFORE.rows(conversation.pk, place.placed_at, place.pk), limit)
    else:
        before, older = _before(rows, place, limit)
    return Window(before, older, newer=True)


def _at_the_end(conversation: Conversation, at: At, limit: int) -> Window:
    if (at.topic, limit) == ("", PAGE):
        newest, older = _backwards(_NEWEST_PAGE.rows(conversation.pk), limit)
    else:
        newest, older = _before(shown(conversation, at.topic).defer(*_NOT_SHOWN), None, limit)
    found = Window(newest, older, newer=False)
    if not _hides_unread(conversation, found):
        return found
    rows = shown(conversation, at.topic).defer(*_NOT_SHOWN)
    first = rows.filter(unread=True).order_by("placed_at", "pk").first()
    if first is None or _order_of(first) >= _order_of(newest[0]):
        return found
    return _from(rows, first, limit) if at.unread else replace(found, unread_before=True)


def _hides_unread(conversation: Conversation, found: Window) -> bool:
    """Whether there may be unread messages before those of a page."""
    return found.older and conversation.unread_count > sum(message.unread for message in found.messages)


def _around(rows: QuerySet[Message], place: Message, limit: int) -> Window:
    before, older = _before(rows, place, limit // 2)
    after, newer = _after(rows, place, limit - limit // 2 - 1)
    return Window([*before, place, *after], older, newer)


def _from(rows: QuerySet[Message], place: Message, limit: int) -> Window:
    """A whole page that begins a little before a message."""
    before, older = _before(rows, place, limit // 5)
    after, newer = _after(rows, place, limit - len(before) - 1)
    return Window([*before, place, *after], older, newer)


def _order_of(message: Message) -> tuple[datetime, int]:
    return message.placed_at, message.pk


def shown(conversation: Conversation, topic: str = "") -> QuerySet[Message]:
    """The messages with a place of their own in the thread, or in one topic of it.

    One query more for a topic.
    """
    rows = _placed(conversation.pk)
    return rows.filter(messages_of(conversation.pk, topic)) if topic else rows


def _placed(conversation: int) -> QuerySet[Message]:
    placed = Q(shown=True) | ~Q(changes_group="") & Q(aside=Message.Aside.NO)
    return Message.objects.filter(placed, conversation=conversation, replaces="", forgotten_at=None)


def previous_of(conversation: Conversation, place: Message, topic: str = "") -> Message | None:
    """The message of the thread, or of one topic of it, just before another one."""
    before, _older = _before(shown(conversation, topic), place, 1)
    return before[0] if before else None


def first_since(conversation: Conversation, moment: datetime) -> str | None:
    """The hex id of the first message of the thread at or after a moment, if there is one."""
    rows = shown(conversation).filter(placed_at__gte=moment).order_by("placed_at", "pk")
    return rows.values_list("message_id", flat=True).first()


def _place(conversation: Conversation, message_id: str) -> Message:
    """The message of the thread that this one is, stands in the place of, or belongs to. Raises NotFound."""
    found = _BY_ID.one(conversation.account_id, conversation.pk, message_id)
    if found is None:
        raise NotFound(message_id)
    rows = Message.objects.filter(account=conversation.account_id, conversation=conversation)
    rows = rows.defer(*_NOT_SHOWN)
    if found.replaces:
        found = rows.filter(message_id=found.replaces, sender_did=found.sender_did).first()
    elif not found.shown and not found.changes_group:
        found = rows.filter(message_id=found.in_reply_to, shown=True, replaces="").first()
    if found is None:
        raise NotFound(message_id)
    return found


def _unread_until(rows: QuerySet[Message], place: Message) -> bool:
    until = rows.filter(unread=True, placed_at__lte=place.placed_at)
    return until.exclude(pk__gt=place.pk, placed_at=place.placed_at).exists()


def _before(rows: QuerySet[Message], place: Message | None, limit: int) -> tuple[list[Message], bool]:
    if place is not None:
        rows = _earlier(rows, place.placed_at, place.pk)
    return _backwards(list(_newest_first(rows)[: limit + 1]), limit)


def _earlier(rows: QuerySet[Message], placed_at: datetime, pk: int) -> QuerySet[Message]:
    return rows.filter(placed_at__lte=placed_at).exclude(pk__gte=pk, placed_at=placed_at)


def _newest_first(rows: QuerySet[Message]) -> QuerySet[Message]:
    return rows.order_by("-placed_at", "-pk")


def _backwards(found: Sequence[Message], limit: int) -> tuple[list[Message], bool]:
    """The oldest first, of rows with the newest first; and whether there is one more."""
    return list(found[:limit])[::-1], len(found) > limit


def _after(rows: QuerySet[Message], place: Message, limit: int) -> tuple[list[Message], bool]:
    rows = rows.filter(placed_at__gte=place.placed_at).exclude(pk__lte=place.pk, placed_at=place.placed_at)
    found = list(rows.order_by("placed_at", "pk")[: limit + 1])
    return found[:limit], len(found) > limit
