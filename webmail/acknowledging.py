"""Telling the senders of messages that they were opened, or read.

Nothing is told to a stranger, not even to one in the group of somebody known, and nothing of what is no
message of its own: no reaction, edit or receipt is ever answered, so receipts never answer each other. What
is to be told waits in rows, a few seconds and for all messages of a conversation together, so that neither
the moment of opening nor the number of messages shows. Rows are removed once their receipt is stored; each
may be sent twice and counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from django.db import transaction
from django.db.models import Exists, Min, OuterRef, Q

from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import NewMessage
from crypto_agent.client import Receipt as ReceiptPart
from webmail import consent, outgoing, queues, receipt_choices
from webmail.conversations import others_in
from webmail.models import Acknowledgement, Contact, Conversation, Message

DELIVERED, READ = receipt_choices.DELIVERED, receipt_choices.READ
#: How long it waits for others of the same conversation, in seconds.
SHORTEST_WAIT, LONGEST_WAIT = 2.0, 5.0
#: In larger groups each message would bring as many receipts as there are people, to each of them.
MOST_PEOPLE = 20
#: Messages that one receipt names.
MOST_IDS = 500


def may_acknowledge(account: Account, conversation: Conversation) -> bool:
    """Whether the account agreed to this conversation: it accepted who began it, or has written in it."""
    return conversation.pk in _agreed_to(account, [conversation])


def _agreed_to(account: Account, conversations: Iterable[Conversation]) -> set[int]:
    """The keys of those to which the account agreed, as ``may_acknowledge`` has it."""
    told = {
        row.pk for row in conversations if len(row.participants) <= MOST_PEOPLE and consent.may_be_told(row)
    }
    if not told:
        return set()
    accepted = Contact.objects.filter(
        account=account, did=OuterRef("started_by"), standing=Contact.Standing.ACCEPTED
    )
    said = Message.objects.filter(conversation=OuterRef("pk"), trust__in=Message.VOUCHED_FOR)
    # Others can begin a conversation in the name of somebody who was accepted, until that is checked.
    theirs = said.filter(sender_did=OuterRef("started_by"))
    wrote = said.filter(direction=Message.Direction.OUT, shown=True)
    agreed = Conversation.objects.filter(Q(Exists(accepted), Exists(theirs)) | Exists(wrote), pk__in=told)
    return set(agreed.values_list("pk", flat=True))


def note_opened(messages: Sequence[Message], *, now: datetime, chance: float) -> None:
    """Messages of their own were opened, and their signatures checked: their senders are to be told, of those
    that may be.

    They are of one account. `chance`, from 0 to 1, chooses the wait. Call within the transaction that stores
    the messages.
    """
    _note(messages, DELIVERED, now, chance)


def note_read(messages: Sequence[Message], *, now: datetime, chance: float) -> None:
    """Somebody has seen these messages. As `note_opened`, where the account chose to tell that."""
    _note(messages, READ, now, chance)


def _note(messages: Sequence[Message], status: Acknowledgement.Status, now: datetime, chance: float) -> None:
    own_words = [
        message
        for message in messages
        if message.direction == Message.Direction.IN
        and message.trust == Message.Trust.SIGNED
        and message.shown
        and not message.replaces
    ]
    if not own_words:
        return
    account = own_words[0].account
    accepted = consent.accepted_among(account, {message.sender_did for message in own_words})
    own_words = [message for message in own_words if message.sender_did in accepted]
    conversations = {message.conversation_id: message.conversation for message in own_words}
    names = receipt_choices.telling(account, status, [row.conversation_id for row in conversations.values()])
    told = _agreed_to(account, [row for row in conversations.values() if row.conversation_id in names])
    if not told:
        return
    waiting = Acknowledgement.objects.filter(message__conversation__in=told, batch="", due_at__gt=now)
    due = dict(
        waiting.values_list("message__conversation")
        .annotate(first=Min("due_at"))
        .order_by("message__conversation")
    )
    wait = SHORTEST_WAIT + (LONGEST_WAIT - SHORTEST_WAIT) * chance
    soonest = now + timedelta(seconds=SHORTEST_WAIT)
    due_at = {
        pk: due[pk] if pk in due and due[pk] >= soonest else now + timedelta(seconds=wait) for pk in told
    }
    Acknowledgement.objects.bulk_create(
        [
            Acknowledgement(message=message, status=status, due_at=due_at[message.conversation_id])
            for message in own_words
            if message.conversation_id in told
        ],
        ignore_conflicts=True,
    )
    for pk in sorted(told):
        transaction.on_commit(partial(queues.give, queues.ACKNOWLEDGE, pk, after_s=wait + 0.1))


def send_due(conversation_pk: int, *, now: datetime) -> int:
    """Tell what is due in a conversation; returns how many receipts were stored to be sent.

    Raises crypto_agent.client.AgentError, AgentLocked among it, which leaves the rows as they are.
    """
    conversation = Conversation.objects.select_related("account").get(pk=conversation_pk)
    account = conversation.account
    rows = Acknowledgement.objects.filter(message__conversation=conversation)
    # Their senders were blocked, or the messages let go of, while they waited.
    accepted = Contact.objects.filter(
        account=account, did=OuterRef("message__sender_did"), standing=Contact.Standing.ACCEPTED
    )
    rows.filter(Q(message__shown=False) | ~Exists(accepted)).delete()
    sent = 0
    # Whoever has read it has opened it.
    read = rows.filter(status=READ, due_at__lte=now).values("message")
    rows.filter(status=DELIVERED, batch="", message__in=read).delete()
    for status in (READ, DELIVERED):
        due = rows.filter(status=status, due_at__lte=now)
        if not due.exists():
            continue
        if not may_acknowledge(account, conversation) or not receipt_choices.tells(
            account, status, conversation
        ):
            due.delete()
            continue
        for batch in _batches(due):
            _send(account, conversation, status, batch, now)
            sent += 1
    return sent


def due(before: datetime) -> list[tuple[int, int]]:
    """The conversations, with their accounts, that have something to tell since `before`."""
    rows = Acknowledgement.objects.filter(due_at__lt=before)
    found = rows.values_list("message__conversation__pk", "message__account__pk").order_by().distinct()
    return [(conversation, account) for conversation, account in found]


def _batches(due: Iterable[Acknowledgement]) -> list[str]:
    """Put what is due into receipts, each named by the token that makes sending it twice sending it once."""
    rows = list(due)
    fresh = [row.pk for row in rows if not row.batch]
    begun = list(dict.fromkeys(row.batch for row in rows if row.batch))
    for start in range(0, len(fresh), MOST_IDS):
        token = str(uuid4())
        part = fresh[start : start + MOST_IDS]
        if Acknowledgement.objects.filter(pk__in=part, batch="").update(batch=token):
            begun.append(token)
    return begun


def _send(
    account: Account, conversation: Conversation, status: Acknowledgement.Status, token: str, now: datetime
) -> None:
    rows = Acknowledgement.objects.filter(batch=token).select_related("message").order_by("message__pk")
    ids = [row.message.message_id for row in rows]
    if ids and not Message.objects.filter(account=account, token=token).exists():
        part = ReceiptPart("read" if status == READ else "delivered", ids)
        others = others_in(account, conversation)
        composed = agent().compose_receipt(account.did, others, part, created_at=now)
        outgoing.store_composed(account, others, NewMessage(receipt=part), composed, token, now=now)
    Acknowledgement.objects.filter(batch=token).delete()
