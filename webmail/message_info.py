"""Everything known about one message: the way it took, who has it, the keys used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts import routes
from accounts.models import Account
from webmail import progress, reasons
from webmail.conversations import NotFound
from webmail.edits import newest_edits
from webmail.models import Delivery, DeliveryCopy, Message, Receipt
from webmail.opened import read_messages
from webmail.people import Person, people_of
from webmail.threads import Entry, entry

#: Earlier texts that are shown.
MOST_VERSIONS = 30


@dataclass(frozen=True)
class CopyInfo:
    """The copy for one device of a recipient."""

    fingerprint: str
    form: str
    envelope_id: str
    accepted_at: datetime | None
    opened_at: datetime | None
    read_at: datetime | None

    @property
    def shows_sender(self) -> bool:
        return self.form == DeliveryCopy.Form.CMS


@dataclass(frozen=True)
class DeliveryInfo:
    """The way to one recipient. `steps` is how many drops are filled; `failure` and `advice` explain;
    `written_about` says that `reply` is what a mail server wrote of it. Of one that was restored, the way is
    not known, only what the recipient's devices said."""

    recipient: Person
    own: bool
    steps: int
    words: str
    failed: bool
    held: bool
    failure: str
    advice: str
    reply: str
    route_kind: str
    route_target: str
    route_reason: str
    attempts: int
    next_attempt_at: datetime | None
    sealed_at: datetime | None
    handed_over_at: datetime | None
    accepted_at: datetime | None
    opened_at: datetime | None
    read_at: datetime | None
    copies: list[CopyInfo]
    written_about: bool = False


@dataclass(frozen=True)
class Version:
    """An earlier text of a message."""

    created_at: datetime
    text: str


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
    #: What it said before it was edited, oldest first.
    versions: list[Version]
    #: The way of its newest version, of one's own: an edit, or that it was taken back; when that was sent.
    newest: list[DeliveryInfo]
    newest_at: datetime | None


def message_info(account: Account, message_id: str) -> MessageInfo:
    """What is known about the message with this id (hex). Raises webmail.conversations.NotFound."""
    message = (
        Message.objects.filter(account=account, message_id=message_id)
        .select_related("conversation")
        .prefetch_related("deliveries__copies", "receipts", "arrivals")
        .first()
    )
    if message is None:
        raise NotFound(message_id)
    shown = entry(account, message_id)
    deliveries = list(message.deliveries.all())
    receipts = list(message.receipts.all())
    people = people_of(
        [delivery.recipient_did for delivery in deliveries] + [each.recipient_did for each in receipts]
    )
    by_recipient: dict[str, list[Receipt]] = {}
    for each in receipts:
        by_recipient.setdefault(each.recipient_did, []).append(each)
    newest = newest_edits([message]).get(message.pk)
    of_newest = list(newest.deliveries.prefetch_related("copies")) if newest else []
    people |= people_of({each.recipient_did for each in of_newest} - people.keys())
    ways = [
        _delivery(each, people[each.recipient_did], account, by_recipient.pop(each.recipient_did, []))
        for each in deliveries
    ]
    ways += [_restored(people[did], said) for did, said in by_recipient.items()]
    return MessageInfo(
        entry=shown,
        conversation_id=message.conversation.conversation_id,
        sender_fingerprint=message.sender_fingerprint,
        trust_code=message.trust_code,
        trust_checked_at=message.trust_checked_at,
        archived_at=message.archived_at,
        envelope_ids=[arrival.envelope_id for arrival in message.arrivals.all()],
        deliveries=ways,
        versions=_versions(account, message) if shown.edited else [],
        newest=[_delivery(each, people[each.recipient_did], account, []) for each in of_newest],
        newest_at=newest.placed_at if newest else None,
    )


def _versions(account: Account, message: Message) -> list[Version]:
    """All but the newest. One of a message that was taken back is told to nobody."""
    edits = Message.objects.filter(
        conversation=message.conversation_id,
        replaces=message.message_id,
        sender_did=message.sender_did,
        trust__in=Message.VOUCHED_FOR,
    ).order_by("-created_at", "-pk")[: MOST_VERSIONS + 1]
    older = [message, *reversed(edits)][:-1]
    read = read_messages(account, message.conversation, older)
    return [
        Version(one.created_at, answer.text or "")
        for one in older
        if (answer := read.get(one.pk)) and not answer.error and not answer.tombstone
    ]


def _delivery(
    delivery: Delivery, recipient: Person, account: Account, receipts: Sequence[Receipt]
) -> DeliveryInfo:
    steps, words = progress.of_delivery(delivery, receipts)
    failed = delivery.state == Delivery.State.FAILED and steps != progress.OPENED
    own = delivery.recipient_did == account.did
    written_about = progress.was_written_about(delivery)
    relayed = delivery.state == Delivery.State.HANDED_OVER
    stopped = delivery.state == Delivery.State.WITHDRAWN
    return DeliveryInfo(
        recipient=recipient,
        own=own,
        steps=steps,
        words=words,
        failed=failed,
        held=delivery.state == Delivery.State.HELD,
        failure=reasons.of_delivery(delivery.failure_code)
        if delivery.failure_code and not written_about
        else "",
        advice=reasons.advice_for_delivery(delivery.failure_code) if failed else "",
        reply=delivery.failure_reply,
        route_kind=delivery.route_kind,
        route_target=delivery.route_target,
        # What was kept is in the worker's language.
        route_reason=routes.reason_of(delivery.route_source, recipient.handle, delivery.route_target)
        or delivery.route_reason,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
        sealed_at=delivery.sealed_at,
        handed_over_at=None if failed or stopped else delivery.finished_at,
        accepted_at=None if failed or relayed or stopped else delivery.finished_at,
        opened_at=_first(receipt.opened_at for receipt in receipts),
        read_at=_first(receipt.read_at for receipt in receipts),
        copies=_copies(delivery, receipts),
        written_about=written_about,
    )


def _restored(recipient: Person, receipts: Sequence[Receipt]) -> DeliveryInfo:
    """What the archive tells of a recipient where the index was lost: what their devices said."""
    read_at = _first(receipt.read_at for receipt in receipts)
    return DeliveryInfo(
        recipient=recipient,
        own=False,
        steps=progress.OPENED,
        words=_("Read") if read_at else progress.words_at(progress.OPENED),
        failed=False,
        held=False,
        failure="",
        advice="",
        reply="",
        route_kind="",
        route_target="",
        route_reason="",
        attempts=0,
        next_attempt_at=None,
        sealed_at=None,
        handed_over_at=None,
        accepted_at=None,
        opened_at=_first(receipt.opened_at for receipt in receipts),
        read_at=read_at,
        copies=[CopyInfo(each.fingerprint, "", "", None, each.opened_at, each.read_at) for each in receipts],
    )


def _copies(delivery: Delivery, receipts: Sequence[Receipt]) -> list[CopyInfo]:
    """The copies, each with what its device said; devices that spoke and got none came later."""
    said = {receipt.fingerprint: receipt for receipt in receipts}
    copies = []
    for copy in delivery.copies.all():
        receipt = said.pop(copy.fingerprint, None)
        opened_at, read_at = (receipt.opened_at, receipt.read_at) if receipt else (None, None)
        copies.append(
            CopyInfo(copy.fingerprint, copy.form, copy.envelope_id, copy.accepted_at, opened_at, read_at)
        )
    return copies + [
        CopyInfo(each.fingerprint, "", "", None, each.opened_at, each.read_at) for each in said.values()
    ]


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)
