"""Opened messages taken into their conversations, a batch at a time, and told to open pages and browsers.

Messages are known by their ids, so this may be repeated.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress, pairwise

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Case, F, Value, When

from accounts.models import Account
from crypto_agent.client import AgentError, OpenedMessage
from webmail import (
    acknowledging,
    another_copy,
    consent,
    conversation_settings,
    drafts,
    events,
    groups,
    left_groups,
    messages,
    queues,
    receipts,
    trust,
)
from webmail.models import Arrival, Conversation, Message
from webmail.placing import place
from webmail.push import notices

log = logging.getLogger(__name__)

#: What says nothing of the messages: all of them are taken up again later.
_PASSING = (OperationalError, InterfaceError, AgentError)


@dataclass(frozen=True)
class Taken:
    """What was opened and may be stored."""

    arrival: Arrival
    message: OpenedMessage
    verdict: trust.Verdict


def take_in(account: Account, taken: Sequence[Taken], now: datetime) -> list[Taken]:
    """Store what was opened of one account's mail; gives those that can't be stored.

    These must not hold up the others, which are stored one by one then. Raises AgentError, or what Django
    raises for a database that is away; nothing of the batch is stored then.
    """
    if not taken:
        return []
    try:
        with transaction.atomic():
            stored = [row for part in _parts(account, taken) for row in _store(account, part, now)]
    except _PASSING:
        raise
    except Exception as error:
        if len(taken) > 1:
            return [failed for one in taken for failed in take_in(account, [one], now)]
        # The error's text could quote the message.
        log.error("an opened message can't be stored: %s", type(error).__name__)
        return list(taken)
    for row, _created in stored:
        if row.trust == Message.Trust.UNCHECKED and row.trust_code in trust.NOT_NOW:
            trust.check_again(row)
    _tell(account, stored)
    if any(one.arrival.reason for one in taken):
        events.publish(account.pk, "kept-aside")
    return []


def _parts(account: Account, taken: Sequence[Taken]) -> list[Sequence[Taken]]:
    """A batch in parts, each of which ends where the account has come back to a group that it left: what
    comes after that was written to somebody who is there."""
    own = [one.message.sender_did == account.did and messages.shown(one.message) for one in taken]
    ids = {one.message.conversation_id for one in compress(taken, own)}
    rows = Conversation.objects.filter(account=account, conversation_id__in=ids) if ids else ()
    left_at = {row.conversation_id: row.left_at for row in rows if row.left_at is not None}
    ends = [0]
    for end, one in compress(enumerate(taken, 1), own):
        left = left_at.get(one.message.conversation_id)
        if left is not None and one.message.created_at > left:
            del left_at[one.message.conversation_id]
            ends.append(end)
    return [taken[start:end] for start, end in pairwise([*ends, len(taken)]) if start < end]


def _store(account: Account, taken: Sequence[Taken], now: datetime) -> list[tuple[Message, bool]]:
    """The rows of a batch, with all that follows from them. Within a transaction."""
    # Signals (protocol §5: calls, typing) are dropped; none is acted on.
    lasting = [one for one in taken if not one.message.ephemeral]
    stored = messages.store(account, [_opened(one, now) for one in lasting])
    new = [(row, one.message) for one, (row, created) in zip(lasting, stored, strict=True) if created]
    rows = [row for row, _message in new]
    for row in rows:
        if row.direction == Message.Direction.OUT:
            left_groups.wrote(account, row)
    place(rows)
    tombstones = [row for row, message in new if message.tombstone and row.trust in Message.VOUCHED_FOR]
    drafts.drop_of_taken_back(account, tombstones)
    groups.apply(rows)
    # Receipts are taken for what they say; of what has a place of its own, its sender is told.
    receipts.apply([receipts.Said(row, message.receipt) for row, message in new if message.receipt])
    for row, message in new:
        if message.copies_wanted:
            another_copy.give(row, message.copies_wanted, now=now)
    acknowledging.note_opened(
        [row for row, message in new if message.render_kinds],
        now=now,
        chance=random.random(),  # noqa: S311 (no secret)
    )
    of_arrivals = {one.arrival.pk: row for one, (row, _created) in zip(lasting, stored, strict=True)}
    _note_opened([one.arrival.pk for one in taken], of_arrivals, now)
    return stored


def _opened(one: Taken, now: datetime) -> messages.Opened:
    return messages.Opened(
        one.message,
        placed_at=messages.place_in_time(one.message.created_at, one.arrival.arrived_at),
        trust=one.verdict.trust,
        trust_code=one.verdict.code,
        checked_at=now,
        next_check_at=trust.first_check(one.verdict, now, random.random()),  # noqa: S311 (no secret)
        counted="unread",
    )


def _tell(account: Account, stored: Sequence[tuple[Message, bool]]) -> None:
    """Open pages hear of what they show, and browsers are woken for what is in the list: nothing of what was
    declined, or of whom is blocked."""
    standing = Conversation.Standing
    told = [
        (row, created)
        for row, created in stored
        if row.conversation.standing != standing.DECLINED and not row.aside and not row.conversation.blocked
    ]
    asked = [created for row, created in told if row.conversation.standing == standing.REQUEST]
    listed = [(row, created) for row, created in told if row.conversation.standing == standing.ACCEPTED]
    new = [row for row, created in listed if created]
    if notices.any_browser(account.pk) and conversation_settings.notify(new):
        notices.something_came(account.pk)
    if told:
        changed = {row.conversation.conversation_id: row.message_id for row, _created in listed}
        events.conversations_changed(account.pk, changed)
    began = {
        row.sender_did
        for row, created in listed
        if created and row.sender_did == row.conversation.started_by != account.did
    }
    if any(asked) or consent.ages_to_learn(account, began):
        queues.give(queues.LOOK_INTO_REQUESTS, account.pk)


def _note_opened(arrivals: Sequence[int], rows: Mapping[int, Message], now: datetime) -> None:
    """Unless another worker, whose hold on the mailbox had run out, is further with it already."""
    of_each = [When(pk=pk, then=Value(row.pk)) for pk, row in rows.items()]
    Arrival.objects.filter(pk__in=arrivals).exclude(state=Arrival.State.DONE).update(
        message=Case(*of_each, default=None) if of_each else None,
        state=Arrival.State.OPENED,
        reason="",
        attempts=F("attempts") + 1,
        updated_at=now,
    )
