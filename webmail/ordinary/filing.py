"""The copies of answers to ordinary mail in the Sent folder of those who wrote them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from accounts.models import Account
from webmail import events
from webmail.mailbox import SENT, open_mailbox
from webmail.models import OutgoingMail
from webmail.ordinary import in_transit

#: For how long an answer that the present key does not open waits for a worker with the right one.
KEPT_UNREADABLE_FOR = timedelta(days=5)
#: After this it is tried again.
UNREADABLE_GAP = timedelta(minutes=10)

log = logging.getLogger(__name__)


def message_id_of(name: str) -> str:
    """The Message-ID of the answer with that name."""
    return f"<{name}@{settings.MAIL_DOMAIN}>"


def due(older_than: datetime, *, limit: int = 100) -> list[int]:
    """Keys of the answers whose copies are not in their mailboxes yet."""
    rows = OutgoingMail.objects.filter(sealed__isnull=False, filed_at=None, created_at__lt=older_than)
    readable = Q(unreadable_at=None) | Q(unreadable_at__lt=older_than - UNREADABLE_GAP)
    rows = rows.filter(readable)
    return list(rows.order_by("pk").values_list("pk", flat=True)[:limit])


def file(mail_pk: int, *, now: datetime) -> None:
    """Put the copy there, once. Two workers at once leave one of their two. Raises MailboxError.

    What the present key does not open stays for five days: it is nowhere else, and the key of this worker may
    be the wrong one.
    """
    mail = OutgoingMail.objects.select_related("account").filter(pk=mail_pk, filed_at=None).first()
    if mail is None:
        return
    try:
        raw = in_transit.unsealed(mail.sealed)
    except in_transit.Unreadable:
        _leave_unreadable(mail, now)
        return
    with open_mailbox(mail.account.did) as mailbox:
        message_id = message_id_of(mail.name)
        if not mailbox.find(SENT, message_id):
            mailbox.append(SENT, raw)
            mailbox.expunge(SENT, mailbox.find(SENT, message_id)[1:])
    OutgoingMail.objects.filter(pk=mail_pk).update(filed_at=now)
    in_transit.let_go_of(mail_pk)
    events.publish(mail.account_id, "answers")


def _leave_unreadable(mail: OutgoingMail, now: datetime) -> None:
    row = OutgoingMail.objects.filter(pk=mail.pk)
    if now - mail.created_at >= KEPT_UNREADABLE_FOR:
        log.error("the copy of answer %s is lost: no worker had its secret key", mail.pk)
        row.update(sealed=None)
    else:
        log.error("the copy of answer %s waits: this worker's secret key is not the one it needs", mail.pk)
        row.update(unreadable_at=now)


def copies(account: Account, names: list[str]) -> dict[str, bytes]:
    """The mails of these names as they lie in the Sent folder. Raises MailboxError."""
    if not names:
        return {}
    with open_mailbox(account.did) as mailbox:
        found = {uid: name for name in names for uid in mailbox.find(SENT, message_id_of(name))[:1]}
        stored = mailbox.fetch(SENT, list(found)) if found else {}
    return {found[uid]: each.raw for uid, each in stored.items() if not each.truncated}
