"""Everything known about one message: the way it took, who has it, the keys used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Account
from webmail import progress, reasons
from webmail.conversations import NotFound
from webmail.models import Delivery, DeliveryCopy, Message
from webmail.people import Person, people_of
from webmail.threads import Entry, entry


@dataclass(frozen=True)
class CopyInfo:
    """The copy for one device of a recipient."""

    fingerprint: str
    form: str
    envelope_id: str
    accepted_at: datetime | None

    @property
    def hides_sender(self) -> bool:
        return self.form == DeliveryCopy.Form.SEALED


@dataclass(frozen=True)
class DeliveryInfo:
    """The way to one recipient. `steps` is how many drops are filled; `failure` and `reply` explain."""

    recipient: Person
    own: bool
    steps: int
    words: str
    failed: bool
    failure: str
    reply: str
    route_kind: str
    route_target: str
    route_reason: str
    attempts: int
    next_attempt_at: datetime | None
    finished_at: datetime | None
    copies: list[CopyInfo]


@dataclass(frozen=True)
class MessageInfo:
    entry: Entry
    conversation_id: str
    sender_fingerprint: str
    trust_code: str
    trust_checked_at: datetime | None
    archived_at: datetime | None
    envelope_ids: list[str]
    deliveries: list[DeliveryInfo]


def message_info(account: Account, message_id: str) -> MessageInfo:
    """What is known about the message with this id (hex). Raises webmail.conversations.NotFound."""
    message = (
        Message.objects.filter(account=account, message_id=message_id)
        .select_related("conversation")
        .prefetch_related("deliveries__copies", "arrivals")
        .first()
    )
    if message is None:
        raise NotFound(message_id)
    deliveries = list(message.deliveries.all())
    people = people_of(delivery.recipient_did for delivery in deliveries)
    return MessageInfo(
        entry=entry(account, message_id),
        conversation_id=message.conversation.conversation_id,
        sender_fingerprint=message.sender_fingerprint,
        trust_code=message.trust_code,
        trust_checked_at=message.trust_checked_at,
        archived_at=message.archived_at,
        envelope_ids=[arrival.envelope_id for arrival in message.arrivals.all()],
        deliveries=[_delivery(each, people[each.recipient_did], account) for each in deliveries],
    )


def _delivery(delivery: Delivery, recipient: Person, account: Account) -> DeliveryInfo:
    failed = delivery.state == Delivery.State.FAILED
    return DeliveryInfo(
        recipient=recipient,
        own=delivery.recipient_did == account.did,
        steps=0 if failed else progress.STEP_OF[Delivery.State(delivery.state)],
        words=progress.of_delivery(delivery),
        failed=failed,
        failure=reasons.of_delivery(delivery.failure_code) if delivery.failure_code else "",
        reply=delivery.failure_reply,
        route_kind=delivery.route_kind,
        route_target=delivery.route_target,
        route_reason=delivery.route_reason,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
        finished_at=delivery.finished_at,
        copies=[
            CopyInfo(copy.fingerprint, copy.form, copy.envelope_id, copy.accepted_at)
            for copy in delivery.copies.all()
        ],
    )
