"""Opened messages as rows of the index."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from accounts.models import Account
from crypto_agent.client import OpenedMessage
from webmail import disappearing, groups, topics
from webmail.blocked import aside_of, blocked_since
from webmail.conversations import conversation_for
from webmail.models import Message

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


def store(
    account: Account,
    message: OpenedMessage,
    *,
    placed_at: datetime,
    trust: Message.Trust,
    trust_code: str,
    checked_at: datetime | None,
    next_check_at: datetime | None,
    counted: Counted,
    archived_at: datetime | None = None,
) -> tuple[Message, bool]:
    """The row of an opened message and whether it is new; the one that is there already if the message
    came before in another envelope. Call within a transaction."""
    own = message.sender_did == account.did
    forgotten = _is_of_forgotten(account, message)
    conversation = conversation_for(
        account,
        message.conversation_id,
        [message.sender_did, *message.recipients],
        placed_at,
        # The word that somebody's message was opened goes out by itself, and accepts nobody.
        written_by=None if own and message.receipt is not None else message.sender_did,
        checked=trust in Message.VOUCHED_FOR,
    )
    aside = aside_of(blocked_since(account), message.sender_did, placed_at)
    has_place = shown(message) and not forgotten
    appears = has_place and aside == Message.Aside.NO
    if aside and not has_place:
        aside = Message.Aside.QUIET
    topic = topics.key_of(message.conversation_id, message.topic_id) if has_place else None
    row, created = Message.objects.get_or_create(
        account=account,
        message_id=message.message_id,
        defaults={
            "conversation": conversation,
            "direction": Message.Direction.OUT if own else Message.Direction.IN,
            "sender_did": message.sender_did,
            "sender_fingerprint": message.sender_fingerprint,
            "sender_certificate_pem": message.sender_certificate_pem,
            "trust": trust,
            "trust_code": trust_code,
            "trust_checked_at": checked_at,
            "next_check_at": next_check_at,
            "created_at": message.created_at,
            "placed_at": placed_at,
            "shown": appears,
            "aside": aside,
            "unread": counted == "unread" and appears and not own,
            "forgotten_at": placed_at if forgotten else None,
            "changes_group": groups.change_of(message.group_update),
            "in_reply_to": message.in_reply_to or "",
            "replaces": message.replaces or "",
            "topic": topic,
            "expires_after": disappearing.seconds_of(message.expires),
            "expires_at": disappearing.end_of(
                message.expires, None if counted == "unread" and not own else placed_at
            ),
            "sealed": message.sealed,
            "archived_at": archived_at,
        },
    )
    if topic and row.topic is None and row.forgotten_at is None:
        # It was stored before the index knew of topics.
        row.topic = topic
        row.save(update_fields=["topic"])
    if has_place:
        topics.begin(row)
    return row, created


def _is_of_forgotten(account: Account, message: OpenedMessage) -> bool:
    """Whether it edits a message that the account let go of."""
    if not message.replaces:
        return False
    originals = Message.objects.filter(
        account=account, message_id=message.replaces, sender_did=message.sender_did
    )
    return originals.filter(forgotten_at__isnull=False).exists()
