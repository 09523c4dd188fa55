"""How an account wants a conversation: pinned, muted, archived, left; and how long what it writes stays.

These are settings of the account: its export carries them. A rebuild keeps them where the conversation's row
is still there; they are not in the mailbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from crypto_agent.client import AgentUnavailable
from webmail import consent, disappearing, events, groups, left_groups, mentions, pending, put_off
from webmail.blobs.attaching import CannotAttach
from webmail.exported_values import conversation_id_in, fitting, participants_in
from webmail.message_state import time_value
from webmail.models import Conversation, Message
from webmail.outgoing import CannotSend
from webmail.pending import ComposedAnew
from webmail.placing import conversation_for

Change = Literal[
    "pin",
    "unpin",
    "mute",
    "unmute",
    "mute-mentions",
    "unmute-mentions",
    "archive",
    "unarchive",
]
CHANGES: tuple[Change, ...] = get_args(Change)

_FIELDS = (
    *("pinned", "muted", "mentions_muted", "archived_at", "left_at"),
    *("expires_after", "settings_changed_at"),
)


def change(account: Account, conversation: Conversation, what: Change, *, now: datetime) -> None:
    """Changes one setting and tells the account's open pages. Doing it twice is doing it once.

    A group that was left is come back to as it leaves the archived ones.
    """
    if what == "unarchive" and conversation.left_at is not None:
        left_groups.come_back(account, conversation, now=now)
        return
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=conversation.pk, account=account)
        match what:
            case "pin" | "unpin":
                row.pinned = what == "pin"
            case "mute" | "unmute":
                row.muted = what == "mute"
            case "mute-mentions" | "unmute-mentions":
                row.mentions_muted = what == "mute-mentions"
            case "archive":
                row.archived_at = row.archived_at or now
            case "unarchive":
                row.archived_at = None
        row.settings_changed_at = now
        row.save(update_fields=_FIELDS)
    events.publish(account.pk, "conversations", "settings")


def choose_time(account: Account, conversation: Conversation, seconds: int, *, now: datetime) -> None:
    """How long after reading what the account writes here disappears, and what waits here for its time; 0 is
    never.

    Raises ValueError for a time that is not among the choices; CannotSend, or CannotAttach, where what waits
    can't be composed for it. Nothing is changed then. Tells the account's open pages.
    """
    if seconds not in disappearing.CHOICES:
        raise ValueError("not one of the times to choose from")
    while True:
        waiting = pending.for_another_time(account, conversation, seconds)
        try:
            with transaction.atomic():
                row = pending.take_over(account, conversation, seconds, waiting)
                row.expires_after, row.settings_changed_at = seconds, now
                row.save(update_fields=["expires_after", "settings_changed_at"])
            break
        except pending.ChangedMeanwhile:
            # Another page got on by it, so this ends.
            continue
    events.publish(account.pk, "settings")


def notify(messages: Sequence[Message]) -> bool:
    """Whether somebody is to be told of any of these messages that just came: it is unread, its conversation
    is accepted, and not muted unless it mentions them. Reads the conversations' rows as they are now."""
    keys = {message.conversation_id for message in messages if message.unread}
    found = Conversation.objects.filter(pk__in=keys, muted=False) if keys else ()
    return any(consent.may_be_told(row) for row in found) or get_through(messages)


def get_through(messages: Sequence[Message]) -> bool:
    """Whether any of these messages that just came, or that were just checked, is one by which somebody is
    mentioned first in a group that they muted, and wants to be told."""
    muted = Conversation.objects.filter(muted=True, mentions_muted=False, left_at=None)
    rows = muted.filter(pk__in={message.conversation_id for message in messages}) if messages else ()
    told = {row.pk for row in rows if groups.is_group(row) and consent.may_be_told(row)}
    return bool(told) and mentions.begun_by([row for row in messages if row.conversation_id in told])


def settings_json(account: Account) -> Iterator[Mapping[str, Any]]:
    """The settings of each conversation whose settings the account ever changed, for its export."""
    rows = Conversation.objects.filter(account=account, settings_changed_at__isnull=False).order_by("pk")
    for row in rows.iterator(chunk_size=500):
        assert row.settings_changed_at is not None
        yield {
            "conversation": row.conversation_id,
            "participants": row.participants,
            "pinned": row.pinned,
            "muted": row.muted,
            "mentionsMuted": row.mentions_muted,
            "archivedAt": row.archived_at.isoformat() if row.archived_at else None,
            "leftAt": row.left_at.isoformat() if row.left_at else None,
            "expiresAfter": row.expires_after,
            "changedAt": row.settings_changed_at.isoformat(),
        }


@dataclass(frozen=True)
class _Given:
    """The settings of a conversation as an export has them."""

    conversation: str
    participants: tuple[str, ...]
    changed_at: datetime
    archived_at: datetime | None
    left_at: datetime | None
    pinned: bool
    muted: bool
    mentions_muted: bool
    expires_after: int


def take_settings(account: Account, found: Iterable[Mapping[str, Any]]) -> int:
    """Takes in the settings of an export where they are later than those here; what waits in a conversation
    follows them. May run twice. Tells the account's open pages.

    Says how many were none, or can't be followed by what waits, and are left out. Call outside of
    transactions. Raises AgentUnavailable where the agent does not compose what waits just now; what
    was taken in stays.
    """
    given, left_out = fitting(found, _given_in)
    taken = 0
    for each in given:
        try:
            taken += _take(account, each)
        except (CannotSend, CannotAttach) as refused:
            if isinstance(refused.__cause__, AgentUnavailable):
                raise refused.__cause__ from refused
            left_out += 1
    if taken:
        events.publish(account.pk, "conversations", "settings")
    return left_out


def _given_in(each: Mapping[str, Any]) -> _Given:
    """Raises ValueError, TypeError or KeyError."""
    expires_after = each.get("expiresAfter", 0)
    return _Given(
        conversation_id_in(each["conversation"]),
        participants_in(each["participants"]),
        time_value(each["changedAt"]),
        archived_at=time_value(each["archivedAt"]) if each["archivedAt"] else None,
        left_at=time_value(each["leftAt"]) if each.get("leftAt") else None,
        pinned=each["pinned"] is True,
        muted=each["muted"] is True,
        mentions_muted=each.get("mentionsMuted") is True,
        expires_after=expires_after if expires_after in disappearing.CHOICES else 0,
    )


def _take(account: Account, given: _Given) -> bool:
    """Whether they are later than those here. Raises CannotSend, CannotAttach."""
    while True:
        with transaction.atomic():
            made = conversation_for(account, given.conversation, given.participants, given.changed_at)
        if not _is_later(given, made):
            return False
        waiting = pending.for_another_time(account, made, given.expires_after)
        try:
            with transaction.atomic():
                return _take_over(account, given, made, waiting)
        except pending.ChangedMeanwhile:
            # Somebody got on by it, so this ends.
            continue


def _take_over(account: Account, given: _Given, made: Conversation, waiting: Sequence[ComposedAnew]) -> bool:
    """Raises ChangedMeanwhile."""
    row = pending.take_over(account, made, given.expires_after, waiting)
    if not _is_later(given, row):
        raise pending.ChangedMeanwhile
    stays_away = given.left_at is not None and groups.is_group(row)
    was_away = row.left_at is not None
    row.left_at = given.left_at if stays_away else None
    row.archived_at, row.settings_changed_at = given.archived_at, given.changed_at
    row.pinned, row.muted, row.mentions_muted = given.pinned, given.muted, given.mentions_muted
    row.expires_after = given.expires_after
    row.save(update_fields=_FIELDS)
    if stays_away or was_away:
        left_groups.bring_in_line(account, row)
    if was_away and not stays_away:
        transaction.on_commit(lambda: put_off.let_go(account, [row.pk], now=timezone.now()))
    return True


def _is_later(given: _Given, row: Conversation) -> bool:
    return row.settings_changed_at is None or row.settings_changed_at < given.changed_at
