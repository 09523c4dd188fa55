"""Opened messages as rows of the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import IntegrityError, transaction

from accounts.models import Account
from crypto_agent.client import OpenedMessage
from webmail import disappearing, groups, topics
from webmail.blocked import aside_of, blocked_since
from webmail.models import Conversation, Message
from webmail.placing import Writing, conversations_for

Counted = Literal["unread", "read"]

#: A message that took no longer than this came at once.
AT_ONCE = timedelta(seconds=60)
#: How far a sender's clock, or the mailbox's rounding, may be ahead.
CLOCK_SKEW = timedelta(seconds=5)


def place_in_time(created_at: datetime, arrived_at: datetime) -> datetime:
    """Where a received message stands in its conversation.

    At the time the sender says, which a mailbox's whole seconds would lose, if it came at once; else, and
    when clocks differ, at the time it came, so that it is seen below what was read already.
    """
    under_way = arrived_at - created_at
    return created_at if -CLOCK_SKEW <= under_way <= AT_ONCE else arrived_at


def shown(message: OpenedMessage) -> bool:
    """Whether a message has a place of its own in the thread (protocol §5)."""
    if message.replaces:
        return False
    return bool(message.render_kinds) or message.degraded == "fallback"


@dataclass(frozen=True)
class Opened:
    """An opened message, and what its row says beside what it says itself."""

    message: OpenedMessage
    placed_at: datetime
    trust: Message.Trust
    trust_code: str
    checked_at: datetime | None
    next_check_at: datetime | None
    counted: Counted
    archived_at: datetime | None = None


def store(account: Account, opened: Sequence[Opened]) -> list[tuple[Message, bool]]:
    """The rows of opened messages, in their order, and whether each is new; the one that is there already if
    a message came before in another envelope. Call within a transaction.

    They are as if stored one after the other, in a number of queries that does not grow with them.
    """
    conversations = conversations_for(account, [_writing(account, one) for one in opened])
    forgotten = _forgotten(account, [one.message for one in opened])
    since = blocked_since(account)
    fields: dict[str, dict[str, Any]] = {}
    for one, conversation in zip(opened, conversations, strict=True):
        goes_too = _goes_with(one.message, forgotten)
        its_fields = _fields(account, one, conversation, since, forgotten=goes_too)
        fields.setdefault(one.message.message_id, its_fields)
    known, made = _rows(account, fields)
    _learn_late(known.values(), fields)
    rows = known | made
    topics.begin([rows[message_id] for message_id, its_fields in fields.items() if _has_place(its_fields)])
    new = set(made)
    stored = []
    for one in opened:
        message_id = one.message.message_id
        stored.append((rows[message_id], message_id in new))
        new.discard(message_id)
    return stored


def _writing(account: Account, opened: Opened) -> Writing:
    message = opened.message
    own = message.sender_did == account.did
    return Writing(
        message.conversation_id,
        [message.sender_did, *message.recipients],
        opened.placed_at,
        # The word that somebody's message was opened goes out by itself, and accepts nobody.
        written_by=None if own and message.receipt is not None else message.sender_did,
        checked=opened.trust in Message.VOUCHED_FOR,
    )


def _fields(
    account: Account,
    opened: Opened,
    conversation: Conversation,
    since: Mapping[str, datetime],
    *,
    forgotten: bool,
) -> dict[str, Any]:
    """The columns of a message's row."""
    message, placed_at = opened.message, opened.placed_at
    own = message.sender_did == account.did
    aside = aside_of(since, message.sender_did, placed_at)
    has_place = shown(message) and not forgotten
    changes_group = groups.change_of(message.group_update)
    if not (aside or own) and (has_place or changes_group) and _came_after_leaving(conversation, opened):
        aside = Message.Aside.LEFT
    appears = has_place and aside == Message.Aside.NO
    if aside and not has_place:
        aside = Message.Aside.QUIET
    return {
        "account": account,
        "conversation": conversation,
        "direction": Message.Direction.OUT if own else Message.Direction.IN,
        "sender_did": message.sender_did,
        "sender_fingerprint": message.sender_fingerprint,
        "sender_certificate_pem": message.sender_certificate_pem,
        "trust": opened.trust,
        "trust_code": opened.trust_code,
        "trust_checked_at": opened.checked_at,
        "next_check_at": opened.next_check_at,
        "created_at": message.created_at,
        "placed_at": placed_at,
        "shown": appears,
        "aside": aside,
        "unread": opened.counted == "unread" and appears and not own,
        "forgotten_at": placed_at if forgotten else None,
        "changes_group": changes_group,
        "mentions_account": message.mentions_account and not own and not forgotten,
        "in_reply_to": message.in_reply_to or "",
        "replaces": message.replaces or "",
        "takes_back": own and message.tombstone,
        "topic": topics.key_of(message.conversation_id, message.topic_id) if has_place else None,
        "expires_after": disappearing.seconds_of(message.expires),
        "expires_at": disappearing.end_of(
            message.expires, None if opened.counted == "unread" and not own else placed_at
        ),
        "sealed": message.sealed,
        "archived_at": opened.archived_at,
    }


def _came_after_leaving(conversation: Conversation, opened: Opened) -> bool:
    """Whether the account had left the group before a message came there, or before its place if it was here
    before."""
    left_at = conversation.left_at
    return left_at is not None and (opened.counted == "unread" or opened.placed_at >= left_at)


def _has_place(fields: Mapping[str, Any]) -> bool:
    """Whether a message has a place of its own, or would have it if it were not set aside."""
    return bool(fields["shown"]) or fields["aside"] in Message.WOULD_BE_SHOWN


def _rows(
    account: Account, fields: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, Message], dict[str, Message]]:
    """By message id, the rows that are there already, and those that are made."""
    rows = Message.objects.filter(account=account, message_id__in=fields).select_related("conversation")
    known = {row.message_id: row for row in rows}
    missing = {message_id: each for message_id, each in fields.items() if message_id not in known}
    made = {message_id: Message(message_id=message_id, **each) for message_id, each in missing.items()}
    try:
        with transaction.atomic():
            Message.objects.bulk_create(made.values())
    except IntegrityError:
        # Another process stored some of them at the same moment.
        for message_id, each in missing.items():
            row, created = Message.objects.get_or_create(
                account=account, message_id=message_id, defaults=each
            )
            if created:
                made[message_id] = row
            else:
                del made[message_id]
                known[message_id] = row
    for row in known.values():
        row.account = account
    return known, made


def _learn_late(known: Iterable[Message], fields: Mapping[str, dict[str, Any]]) -> None:
    """What rows were stored without, before the index knew of topics and mentions."""
    late = []
    for row in known:
        its_fields = fields[row.message_id]
        topic = its_fields["topic"] if row.topic is None else row.topic
        mentions = its_fields["mentions_account"] or row.mentions_account
        if row.forgotten_at is None and (topic, mentions) != (row.topic, row.mentions_account):
            row.topic, row.mentions_account = topic, mentions
            late.append(row)
    Message.objects.bulk_update(late, ["topic", "mentions_account"])


def _forgotten(account: Account, messages: Iterable[OpenedMessage]) -> dict[str, str]:
    """The senders, by id, of what the account let go of among that which these edit or answer."""
    named = {name for message in messages if (name := message.replaces or message.in_reply_to)}
    if not named:
        return {}
    originals = Message.objects.filter(account=account, message_id__in=named, forgotten_at__isnull=False)
    return dict(originals.values_list("message_id", "sender_did"))


def _goes_with(message: OpenedMessage, forgotten: Mapping[str, str]) -> bool:
    """Whether a message is a version of one that was let go of, or a reaction to it."""
    if message.replaces:
        return forgotten.get(message.replaces) == message.sender_did
    return bool(message.reactions) and not shown(message) and message.in_reply_to in forgotten
