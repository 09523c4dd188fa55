"""What others' devices say of messages that were sent to them (protocol §5, kind 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import transaction

from crypto_agent.client import Receipt as ReceiptPart
from webmail import receipt_choices
from webmail.models import Message, Receipt

#: Ids of one receipt that are looked up, and of several at a time.
MOST_IDS = 1000


@dataclass(frozen=True)
class Said:
    """A stored message that has a receipt, and what that says."""

    message: Message
    receipt: ReceiptPart

    @property
    def counts(self) -> bool:
        """Whether it came from somebody whose signature was checked."""
        return self.message.direction == Message.Direction.IN and self.message.trust == Message.Trust.SIGNED

    @property
    def ids(self) -> Sequence[str]:
        return self.receipt.ids[:MOST_IDS]


def apply(said: Sequence[Said]) -> list[int]:
    """Note what receipts of one account say, and return of each how many of the messages it names were found.

    It counts only when its signature was checked, and only for messages that the account sent in the same
    conversation, and so to whoever signed it. A state never goes back, so this may run twice and in any
    order. Where the account does not tell when it has read, "read" is noted as opened.
    """
    found = dict.fromkeys(range(len(said)), 0)
    for numbers in _bounded(said):
        with transaction.atomic():
            named = _named([said[number] for number in numbers])
            found |= {number: len(pks) for number, pks in zip(numbers, named, strict=True)}
            _note([(said[number], pks) for number, pks in zip(numbers, named, strict=True) if pks])
    return list(found.values())


def _bounded(said: Sequence[Said]) -> Iterator[list[int]]:
    """The numbers of those that count, so many at a time that they name MOST_IDS messages together."""
    taken: list[int] = []
    ids = 0
    for number, one in enumerate(said):
        if not one.counts:
            continue
        if taken and ids + len(one.ids) > MOST_IDS:
            yield taken
            taken, ids = [], 0
        taken.append(number)
        ids += len(one.ids)
    if taken:
        yield taken


def _named(said: Sequence[Said]) -> list[set[int]]:
    """The keys of the messages that each of these names."""
    rows = Message.objects.filter(
        conversation__in={one.message.conversation_id for one in said},
        message_id__in={message_id for one in said for message_id in one.ids},
        direction=Message.Direction.OUT,
        shown=True,
        replaces="",
    ).values_list("conversation_id", "message_id", "pk")
    sent = {(conversation, message_id): pk for conversation, message_id, pk in rows}
    places = [[(one.message.conversation_id, message_id) for message_id in one.ids] for one in said]
    return [{sent[place] for place in each if place in sent} for each in places]


def _note(said: Sequence[tuple[Said, set[int]]]) -> None:
    if not said:
        return
    Receipt.objects.bulk_create(
        (
            Receipt(
                message_id=pk,
                recipient_did=one.message.sender_did,
                fingerprint=one.message.sender_fingerprint,
                opened_at=one.message.placed_at,
            )
            for one, pks in said
            for pk in pks
        ),
        ignore_conflicts=True,
    )
    rows = Receipt.objects.select_for_update().order_by("pk")
    rows = rows.filter(message__in={pk for _one, pks in said for pk in pks})
    told = {(row.message_id, row.recipient_did, row.fingerprint): row for row in rows}
    read_told = _where_reading_is_told([one for one, _pks in said if one.receipt.status == "read"])
    changed: dict[int, Receipt] = {}
    for one, pks in said:
        message = one.message
        for pk in pks:
            row = told[(pk, message.sender_did, message.sender_fingerprint)]
            before = (row.opened_at, row.read_at)
            row.opened_at = min(row.opened_at, message.placed_at)
            if message.conversation_id in read_told and one.receipt.status == "read":
                row.read_at = max(row.read_at or message.placed_at, row.opened_at)
            if (row.opened_at, row.read_at) != before:
                changed[row.pk] = row
    Receipt.objects.bulk_update(changed.values(), ["opened_at", "read_at"])


def _where_reading_is_told(said: Sequence[Said]) -> set[int]:
    """The keys of the conversations of these in which the account tells that it has read."""
    if not said:
        return set()
    account = said[0].message.account
    conversations = {one.message.conversation_id: one.message.conversation.conversation_id for one in said}
    ids = receipt_choices.telling(account, receipt_choices.READ, conversations.values())
    return {pk for pk, name in conversations.items() if name in ids}
