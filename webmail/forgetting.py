"""Letting go of messages: on one's own wish, or because their time is over.

A message goes with its versions and the reactions to it: out of the pages at once, then out of the archive
and the search index. Its row stays, empty, so that a copy that arrives again is not shown again. With the
database this memory is lost; the archive has the message no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.agent import agent
from accounts.models import Account
from webmail import events, originals, queues
from webmail.blobs.attaching import remove
from webmail.conversations import NotFound
from webmail.mailbox import ARCHIVE, open_mailbox
from webmail.mailbox.envelope_mail import archive_message_id
from webmail.models import Blob, Delivery, Draft, Message, Receipt
from webmail.recounting import recount
from webmail.tries import MAY_COME_BACK
from webmail.withdrawing import withdraw

_NOT_ARRIVED = (Delivery.State.QUEUED, Delivery.State.HELD, Delivery.State.SEALED, Delivery.State.FAILED)
#: Where what is not shown is that has no place of its own.
_NO_PLACE = (Message.Aside.NO, Message.Aside.QUIET)
#: Messages erased by one turn of a worker.
BATCH = 200


def forget(account: Account, message_id: str, *, now: datetime) -> bool:
    """Show a message no more, here alone, and have it erased; of one's own, what no server has yet goes out
    no more. Whether it is one's own that nobody has: then its files go with it, but for those that were
    passed on. Can run twice. Raises NotFound.
    """
    message = (
        Message.objects.filter(account=account, message_id=message_id, replaces="")
        .select_related("account", "conversation")
        .first()
    )
    if message is None:
        raise NotFound(message_id)
    own = message.direction == Message.Direction.OUT
    with transaction.atomic():
        never_sent = own and not withdraw(message, now=now)
        _forget(message, now)
    if never_sent:
        in_it = Blob.objects.filter(account=account, message_id=message_id, removed_at=None)
        for blob in in_it.filter(passed_on=False):
            remove(blob, now)
    return never_sent


def forget_expired(now: datetime, *, limit: int = 500) -> int:
    """Let go of messages whose time is over; how many. Can run twice, and beside itself.

    One's own stay as long as somebody did not get them, or may not have got what can still come back, so that
    nothing that failed vanishes unseen.
    """
    of_others = Delivery.objects.filter(message=OuterRef("pk")).exclude(recipient_did=OuterRef("sender_did"))
    receipts = Receipt.objects.filter(message=OuterRef("message_id"), recipient_did=OuterRef("recipient_did"))
    may_come_back = Q(state=Delivery.State.HANDED_OVER, finished_at__gt=now - MAY_COME_BACK)
    not_arrived = of_others.filter(Q(state__in=_NOT_ARRIVED) | may_come_back & ~Exists(receipts))
    rows = Message.objects.filter(~Exists(not_arrived), expires_at__lte=now, forgotten_at=None, replaces="")
    expired = list(rows.select_related("account", "conversation").order_by("expires_at")[:limit])
    for message in expired:
        _forget(message, now)
    return len(expired)


def _forget(message: Message, now: datetime) -> None:
    of_it = Q(pk=message.pk) | Q(replaces=message.message_id, sender_did=message.sender_did)
    # Not the answers to it: neither their edits, which name it too, nor those that are set aside.
    quiet = Q(in_reply_to=message.message_id, replaces="", shown=False, aside__in=_NO_PLACE)
    with transaction.atomic():
        in_conversation = Message.objects.filter(conversation=message.conversation_id)
        reactions = list(in_conversation.filter(quiet).values_list("message_id", flat=True))
        rows = in_conversation.filter(of_it | quiet | Q(replaces__in=reactions))
        # What it was to become goes with it.
        Draft.objects.filter(edits__in=rows).delete()
        rows.filter(forgotten_at=None).update(
            forgotten_at=now, shown=False, unread=False, mentions_account=False
        )
        recount(message.account, [message.conversation_id])
        transaction.on_commit(lambda: _tell(message))


def _tell(message: Message) -> None:
    queues.give(queues.ERASE, message.account_id)
    events.conversation_changed(message.account_id, message.conversation.conversation_id, message.message_id)


def due() -> set[int]:
    """Keys of the accounts with forgotten messages that were not erased yet."""
    return set(_waiting().values_list("account_id", flat=True).distinct().order_by())


def erase(account: Account, *, now: datetime) -> bool:
    """Take what was let go of out of the archive, the search index and the rows; whether there is more.

    Can run twice. Raises MailboxError, crypto_agent.client.AgentError.
    """
    rows = _waiting().filter(account=account).select_related("conversation")
    messages = list(rows.order_by("pk")[:BATCH])
    if not messages:
        return False
    originals.note_before_erasing(account, messages)
    _expunge(account, messages)
    agent().forget_messages(account.did, [message.message_id for message in messages])
    # A worker that had read them before may store a copy yet: `archive.look_again` takes it away.
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(
        sealed=b"", erased_at=now, archived_at=now, archiving_since=now, indexed_at=now
    )
    return len(messages) == BATCH


def _waiting() -> QuerySet[Message]:
    """What can be erased: not what is still to be sealed for somebody, as that something was taken back."""
    of_message = Delivery.objects.filter(message=OuterRef("pk"))
    unsealed = of_message.filter(state__in=[Delivery.State.QUEUED, Delivery.State.HELD])
    ended = of_message.filter(state__in=[Delivery.State.FAILED, Delivery.State.WITHDRAWN])
    rows = Message.objects.filter(~Exists(unsealed), forgotten_at__isnull=False, erased_at=None)
    # One that failed, or was stopped, before it was sealed stays unsealed.
    return rows.exclude(Q(state=Message.State.COMPOSED) & ~Exists(ended))


def _expunge(account: Account, messages: Sequence[Message]) -> None:
    with open_mailbox(account.did) as mailbox:
        for message in messages:
            uids = mailbox.find(ARCHIVE, archive_message_id(message.message_id))
            if uids:
                mailbox.expunge(ARCHIVE, uids)
