"""Answering ordinary mail: from what somebody wrote on its page to a mail that waits to be carried."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import Account
from accounts.one_line import one_line
from webmail import drafts, events, queues
from webmail.conversations import NotFound
from webmail.draft_places import DraftOnPage
from webmail.models import OutgoingMail, OutgoingMailRecipient, OutgoingMailRound
from webmail.ordinary import filing, html, in_transit, reading
from webmail.ordinary.answer import Addressees, addressees, answer_mail, quoted, subject_of
from webmail.ordinary.parsing import MAX_FIELD, OrdinaryMail
from webmail.outgoing import CannotSend, checked_text, checked_token
from webmail.own_addresses import address_of, is_address_of, own_domains
from webmail.templatetags.times import whole_date

HOUR = timedelta(hours=1)

#: Why a mail cannot be answered: by the codes of answer.addressees, and one for what the operator chose.
WHY_NOT: dict[str, Promise] = {
    "turned-off": gettext_lazy("This server sends no ordinary mail."),
    "no-address": gettext_lazy("It names no address that an answer could be sent to."),
    "utf8": gettext_lazy(
        "The address for answers has letters beyond those of English, which mail from here cannot be sent to."
    ),
    "own-address": gettext_lazy("It names your own address as its sender."),
    "takes-reports": gettext_lazy("It comes from a program, and nobody reads what is sent to its address."),
}


@dataclass(frozen=True)
class Answerable:
    """Whom an answer would go to, or why there can be none; and what it would say of itself."""

    whom: Addressees | None
    why_not: str
    sender_name: str
    sender: str
    subject: str


def answerable(account: Account, mail: OrdinaryMail) -> Answerable:
    """Whether a mail can be answered, and where to."""
    found = addressees(mail, is_own=lambda address: is_address_of(account.did, address), may_reach=_may_reach)
    if not settings.ORDINARY_ANSWERS_PER_HOUR:
        found = "turned-off"
    return Answerable(
        whom=found if isinstance(found, Addressees) else None,
        why_not=str(WHY_NOT[found]) if isinstance(found, str) else "",
        sender_name=one_line(account.display_name or account.handle, MAX_FIELD),
        sender=address_of(account.did),
        subject=subject_of(mail.subject),
    )


def answer(
    account: Account,
    arrival_id: int,
    text: str,
    token: str,
    *,
    to_all: bool,
    with_quote: bool,
    on_page: DraftOnPage | None = None,
    now: datetime,
) -> OutgoingMail:
    """Store an answer to a mail, and have it carried and filed.

    `token` is a UUID made by the page: the same one again returns the answer of the first time. Whom it goes
    to is read from the mail, never from the page. The draft that it was written as `on_page` is gone with it.
    Raises NotFound, MailboxError, and CannotSend; nothing is stored then.
    """
    token = checked_token(token)
    if sent := OutgoingMail.objects.filter(account=account, token=token).first():
        return sent
    text = checked_text(text, needed=False)
    if not text:
        raise CannotSend("empty", _("Write something first."))
    mail = reading.shown(account, arrival_id).mail
    able = answerable(account, mail)
    if able.whom is None:
        raise CannotSend("not-answerable", able.why_not)
    cc = able.whom.cc if to_all else ()
    name = _name(account, token)
    raw = answer_mail(
        mail,
        sender_name=able.sender_name,
        sender=able.sender,
        to=able.whom.to,
        cc=cc,
        text=f"{text}\n\n{_quote(mail)}" if with_quote else text,
        message_id=filing.message_id_of(name),
        now=now,
    )
    try:
        with transaction.atomic():
            _take_of_limit(account, len(able.whom.to) + len(cc), now)
            row = OutgoingMail.objects.create(
                account=account,
                arrival_id=arrival_id,
                token=token,
                name=name,
                sealed=in_transit.sealed(raw),
                created_at=now,
            )
            OutgoingMailRecipient.objects.bulk_create(
                OutgoingMailRecipient(mail=row, address=address, queued_at=now, next_attempt_at=now)
                for address in (*able.whom.to, *cc)
            )
            if on_page is not None:
                drafts.sent(account, on_page)
    except IntegrityError:
        # The page was submitted twice at once.
        return OutgoingMail.objects.get(account=account, token=token)
    _start(row)
    return row


def retry(account: Account, mail_pk: int, *, now: datetime) -> OutgoingMail:
    """Have an answer carried again to those who did not get it. May run twice.

    Raises NotFound, MailboxError, and CannotSend where its copy is no longer there.
    """
    row = OutgoingMail.objects.filter(account=account, pk=mail_pk).first()
    if row is None:
        raise NotFound(str(mail_pk))
    raw = _octets(account, row)
    if raw is None:
        raise CannotSend(
            "copy-gone", _("Its copy is no longer in your Sent folder. Write the answer once more.")
        )
    with transaction.atomic():
        failed = list(row.recipients.select_for_update().filter(state__in=OutgoingMailRecipient.RETRIED))
        _take_of_limit(account, len(failed), now)
        OutgoingMail.objects.filter(pk=row.pk).update(sealed=in_transit.sealed(raw))
        for recipient in failed:
            recipient.state = OutgoingMailRecipient.State.WAITING
            recipient.round += 1
            recipient.attempts = 0
            recipient.queued_at = recipient.next_attempt_at = now
            recipient.finished_at = None
            recipient.failure_code = recipient.failure_reply = ""
            recipient.save()
    _start(row)
    return row


def mail_of(account: Account, answer_pk: int) -> int:
    """The key of the mail that an answer is to. Raises NotFound."""
    row = OutgoingMail.objects.filter(account=account, pk=answer_pk).first()
    if row is None:
        raise NotFound(str(answer_pk))
    return row.arrival_id


def _start(row: OutgoingMail) -> None:
    waiting = row.recipients.filter(state=OutgoingMailRecipient.State.WAITING)
    for recipient_pk in waiting.values_list("pk", flat=True):
        queues.give(queues.CARRY_ANSWER, recipient_pk)
    if row.filed_at is None:
        queues.give(queues.FILE_ANSWER, row.pk)
    events.publish(row.account_id, "answers")


def _octets(account: Account, row: OutgoingMail) -> bytes | None:
    try:
        return in_transit.unsealed(row.sealed)
    except in_transit.Unreadable:
        return filing.copies(account, [row.name]).get(row.name)


def _take_of_limit(account: Account, more: int, now: datetime) -> None:
    """Count an address each time that something is sent there. Raises CannotSend if the hour's are used up.

    Call within a transaction: the account's row is held, so that pages at the same time are counted one after
    the other.
    """
    Account.objects.select_for_update().get(pk=account.pk)
    most = settings.ORDINARY_ANSWERS_PER_HOUR
    rounds = OutgoingMailRound.objects.filter(account=account)
    if rounds.filter(begun_at__gt=now - HOUR).count() + more > most:
        raise CannotSend(
            "too-often",
            ngettext(
                "From here answers go to one address in an hour at most. Send it later.",
                "From here answers go to %(count)d addresses in an hour at most. Send it later.",
                most,
            )
            % {"count": most},
        )
    rounds.filter(begun_at__lte=now - HOUR).delete()
    OutgoingMailRound.objects.bulk_create(
        OutgoingMailRound(account=account, begun_at=now) for _each in range(more)
    )


def _may_reach(address: str) -> bool:
    """Domains with a name in the public tree, and our own; no bare host of our networks and no number."""
    domain = address.rpartition("@")[2].lower()
    return re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+", domain) is not None or domain in own_domains()


def _name(account: Account, token: str) -> str:
    """The same for the same page, and not to be guessed by others."""
    return hmac.new(
        settings.SECRET_KEY.encode(), f"ordinary answer {account.pk} {token}".encode(), hashlib.sha256
    ).hexdigest()


def _quote(mail: OrdinaryMail) -> str:
    name = mail.sender_name or mail.sender_address or _("Unknown sender")
    words = mail.text if mail.text is not None else html.text_of(mail.html or "")
    if mail.date is None:
        return quoted(words, _("%(name)s wrote:") % {"name": name})
    return quoted(
        words, _("%(name)s wrote on %(day)s:") % {"name": name, "day": whole_date(mail.date.date())}
    )
