"""What goes by schedule: files whose time is over, that nobody sent, or whose message is gone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Max, QuerySet

from accounts.agent import agent
from crypto_agent.client import AgentLimited, AgentLocked, AgentRefused, SealedContent
from webmail.blobs import store
from webmail.blobs.attaching import forget, remove, url_of
from webmail.edits import newest_edits
from webmail.models import Blob, Delivery, Message

log = logging.getLogger(__name__)

#: How long a file waits for the message that it was chosen for, if no draft and no message that waits has it.
UNSENT = timedelta(days=1)
#: How long a message that reached nobody may still be tried again with its files.
FAILED = timedelta(days=3)
#: How long the row of a removed file counts, and explains why a message can't be sent again.
REMEMBERED = timedelta(days=90)


def sweep(now: datetime) -> int:
    """Removes what has to go; how many files. Can run twice, and beside itself.

    An account whose messages the agent does not read now is left for another time. Raises AgentError where
    it reads nobody's; the rest is done then.
    """
    removed = 0
    unsent = Blob.objects.filter(message_id="", draft=None, pending=None, created_at__lte=now - UNSENT)
    unfinished = Blob.objects.filter(
        content_hash="", created_at__lte=now - timedelta(seconds=store.UNFINISHED_S)
    )
    for blob in unsent | unfinished:
        forget(blob)
        removed += 1
    for blob in Blob.objects.filter(removed_at=None, expires_at__lte=now):
        remove(blob, now)
        removed += 1
    Blob.objects.filter(removed_at__lte=now - REMEMBERED).delete()
    removed += store.remove_expired(now)
    for blob in (*_of_failed_messages(now), *_of_messages_taken_back()):
        remove(blob, now)
        removed += 1
    return removed


def _in_one_message() -> QuerySet[Blob]:
    return Blob.objects.filter(removed_at=None, passed_on=False).exclude(message_id="")


def _of_failed_messages(now: datetime) -> Iterator[Blob]:
    """Files of messages that reached nobody, and that nobody tried again."""
    for blob in _in_one_message():
        deliveries = Delivery.objects.filter(
            message__account=blob.account_id, message__message_id=blob.message_id
        )
        if not deliveries.exists() or deliveries.exclude(state=Delivery.State.FAILED).exists():
            continue
        last = deliveries.aggregate(last=Max("finished_at"))["last"]
        if last is not None and last <= now - FAILED:
            yield blob


def _of_messages_taken_back() -> Iterator[Blob]:
    """Files that the newest version of their message does not name any more.

    Raises AgentError where the agent reads nobody's messages.
    """
    left_out: dict[int, str] = {}
    for blob in _in_one_message().select_related("account"):
        if blob.account_id in left_out:
            continue
        message = Message.objects.filter(account=blob.account, message_id=blob.message_id).first()
        edit = newest_edits([message]).get(message.pk) if message else None
        if message is None or edit is None:
            continue
        if edit.takes_back:
            yield blob
            continue
        sealed = SealedContent(message.conversation.conversation_id, edit.message_id, bytes(edit.sealed))
        try:
            (read,) = agent().read(blob.account.did, [sealed])
        except AgentLocked:
            # It is looked at again when the account is unlocked; the file expires in any case.
            continue
        except (AgentLimited, AgentRefused) as error:
            left_out[blob.account_id] = error.code
            continue
        if not read.error and url_of(blob) not in [part.get("url") for part in read.parts]:
            yield blob
    if left_out:
        codes = ", ".join(sorted(set(left_out.values())))
        log.warning("the files of %d accounts were not looked at: %s", len(left_out), codes)
