"""What only the database knows of a message, as an account's export carries it: marks, deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from webmail.models import Delivery, Message

#: A part of the export holds no more than this many octets of states.
MOST_BYTES = 300_000
#: Servers may answer at length.
_LONGEST_REPLY = 300

State = Mapping[str, Any]


def state_of(message: Message) -> State | None:
    """The message's state as JSON; None where there is nothing that the archive does not say as well."""
    deliveries = [_delivery_json(delivery) for delivery in message.deliveries.all()]
    if not deliveries and not message.unread and message.saved_at is None:
        return None
    return {
        "id": message.message_id,
        "unread": message.unread,
        "deliveries": deliveries,
        "savedAt": _time_json(message.saved_at) if message.saved_at else None,
    }


def unsent_state_of(message: Message) -> State:
    """The same for a message that the archive does not hold, with all that its row needs."""
    return {
        "id": message.message_id,
        "unread": False,
        "deliveries": [_delivery_json(delivery) for delivery in message.deliveries.all()],
        "participants": message.conversation.participants,
        "createdAt": _time_json(message.created_at),
        "placedAt": _time_json(message.placed_at),
        "inReplyTo": message.in_reply_to,
        "replaces": message.replaces,
        "takesBack": message.takes_back,
        "topic": message.topic,
        "shown": message.shown,
        "changesGroup": message.changes_group,
        "expiresAfter": message.expires_after,
        "expiresAt": _time_json(message.expires_at) if message.expires_at else None,
    }


def packed(states: Iterable[State]) -> Iterator[bytes]:
    """The states as JSON lists, each of at most MOST_BYTES."""
    lines: list[bytes] = []
    size = 0
    for state in states:
        line = json.dumps(state).encode()
        if lines and size + len(line) > MOST_BYTES:
            yield b"[" + b",".join(lines) + b"]"
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield b"[" + b",".join(lines) + b"]"


def unpacked(data: bytes) -> dict[str, State]:
    """The states of one such list by message id. Raises ValueError."""
    states = json.loads(data)
    if not isinstance(states, list) or not all(isinstance(state, dict) for state in states):
        raise ValueError("not a list of states")
    return {str(state.get("id")): state for state in states}


def restore_deliveries(message: Message, state: State, now: datetime) -> None:
    """The deliveries of a message that was just taken in. What was under way is sealed and carried anew.

    Raises ValueError for a state that is none.
    """
    rows = [_delivery(message, each, now) for each in state.get("deliveries", [])]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)


def saved_at(state: State) -> datetime | None:
    """When a message was saved. Raises ValueError."""
    return time_value(state["savedAt"]) if state.get("savedAt") else None


def time_value(text: object) -> datetime:
    """A time of a state. Raises ValueError."""
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time that no calendar has") from None


def _delivery_json(delivery: Delivery) -> State:
    finished_at = delivery.finished_at
    return {
        "to": delivery.recipient_did,
        "state": delivery.state,
        "routeKind": delivery.route_kind,
        "routeTarget": delivery.route_target,
        "routeSource": delivery.route_source,
        "routeReason": delivery.route_reason,
        "failureCode": delivery.failure_code,
        "failureReply": delivery.failure_reply[:_LONGEST_REPLY],
        "createdAt": _time_json(delivery.created_at),
        "finishedAt": _time_json(finished_at) if finished_at else None,
    }


def _delivery(message: Message, state: State, now: datetime) -> Delivery:
    finished = state["state"] in (
        Delivery.State.HANDED_OVER,
        Delivery.State.ACCEPTED,
        Delivery.State.FAILED,
        Delivery.State.WITHDRAWN,
    )
    return Delivery(
        message=message,
        recipient_did=str(state["to"])[:2048],
        state=Delivery.State(state["state"]) if finished else Delivery.State.QUEUED,
        route_kind=str(state["routeKind"])[:8],
        route_target=str(state["routeTarget"]),
        route_source=str(state["routeSource"])[:16],
        route_reason=str(state["routeReason"]),
        failure_code=str(state["failureCode"])[:40],
        failure_reply=str(state["failureReply"]),
        created_at=time_value(state["createdAt"]),
        next_attempt_at=None if finished else now,
        finished_at=time_value(state["finishedAt"]) if state["finishedAt"] else None,
    )


def _time_json(moment: datetime) -> str:
    return moment.isoformat()
