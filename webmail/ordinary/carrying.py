"""Carrying answers to ordinary mail, with growing gaps between tries for five days; and what comes back."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from webmail import events
from webmail.carriers import Accepted, Outcome, Refused, Uncertain
from webmail.carriers.bounces import report_in_mail
from webmail.carriers.smtp import LONGEST_MAIL_SECONDS, deliver_mail
from webmail.delivery_reports import TooEarly
from webmail.models import OutgoingMailRecipient
from webmail.ordinary import in_transit
from webmail.tries import GIVE_UP_AFTER, gap_after

log = logging.getLogger(__name__)

#: For how long a worker has a recipient to itself; it is stopped before that (tasks.carry_answer).
LEASE = timedelta(seconds=LONGEST_MAIL_SECONDS + 120)
STOPPED_AFTER_SECONDS = LONGEST_MAIL_SECONDS + 60

State = OutgoingMailRecipient.State

_OUTCOME = ("state", "failure_code", "failure_reply", "finished_at", "next_attempt_at")
_TOKEN = re.compile(r"m([0-9]{1,10})\.([0-9]{1,3})")


def token_of(recipient: OutgoingMailRecipient) -> str:
    """What stands for this recipient, this time, in the return address (see carriers/bounces.py)."""
    return f"m{recipient.pk}.{recipient.round % 1000}"


def is_token(token: str) -> bool:
    """Whether a token of a return address is one of an answer to ordinary mail."""
    return _TOKEN.fullmatch(token) is not None


def due(now: datetime, *, limit: int = 500) -> list[int]:
    """Keys of the recipients to whom something may go out now."""
    rows = OutgoingMailRecipient.objects.filter(state=State.WAITING, next_attempt_at__lte=now)
    return list(rows.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def carry(recipient_pk: int, *, now: datetime | None = None) -> None:
    """Carry the mail to one recipient's server, or note why not.

    Another worker that holds the same one, or one that is not due, makes this do nothing. A crash after the
    server accepted means that it gets the same mail again, with the same Message-ID.
    """
    now = now or timezone.now()
    if not _claim(recipient_pk, now):
        return
    recipient = OutgoingMailRecipient.objects.select_related("mail").get(pk=recipient_pk)
    try:
        raw = in_transit.unsealed(recipient.mail.sealed)
    except in_transit.Unreadable as error:
        _finish(recipient, State.FAILED, now, code="copy-unreadable", reply=str(error))
    else:
        outcome = deliver_mail(raw, recipient.address, bounce_token=token_of(recipient))
        _note(recipient, outcome, now)
    in_transit.let_go_of(recipient.mail_id)
    events.publish(recipient.mail.account_id, "answers")


def take_report(token: str, raw: bytes, *, now: datetime) -> str | None:
    """Note what a mail that came back to the return address says of the delivery it stands for.

    A refusal makes it failed, a delay is kept as the server's last words; what failed already stays as it is.
    Returns the DID of whoever wrote the answer if the mail says nothing of that: a program answered it, which
    is theirs to read (RFC 3834 §4). Raises TooEarly. May run twice, and tells open pages once.
    """
    match = _TOKEN.fullmatch(token)
    recipient = (
        OutgoingMailRecipient.objects.select_related("mail__account").filter(pk=int(match[1])).first()
        if match
        else None
    )
    if recipient is None:
        return None
    report = report_in_mail(raw)
    if report is None or (report.envelope_ids and recipient.mail.name not in report.envelope_ids):
        return recipient.mail.account.did
    if token != token_of(recipient):
        # About a former time.
        return None
    if recipient.state == State.WAITING:
        raise TooEarly("it is still under way")
    said = {"failure_code": report.outcome.code, "failure_reply": report.outcome.reply}
    of_this_time = OutgoingMailRecipient.objects.filter(pk=recipient.pk, round=recipient.round)
    if isinstance(report.outcome, Refused):
        going_on = of_this_time.exclude(state__in=[State.WAITING, State.FAILED])
        changed = going_on.update(state=State.FAILED, finished_at=now, **said)
    else:
        # Of one that perhaps arrived, why it is not known goes on being what its writer has to know.
        going_on = of_this_time.filter(state__in=[State.HANDED_OVER, State.ACCEPTED])
        changed = going_on.exclude(**said).update(**said)
    if changed:
        events.publish(recipient.mail.account_id, "answers")
    return None


def _claim(recipient_pk: int, now: datetime) -> bool:
    rows = OutgoingMailRecipient.objects.filter(
        pk=recipient_pk, state=State.WAITING, next_attempt_at__lte=now
    )
    return rows.update(next_attempt_at=now + LEASE, attempts=F("attempts") + 1) == 1


def _note(recipient: OutgoingMailRecipient, outcome: Outcome | Uncertain, now: datetime) -> None:
    if isinstance(outcome, Accepted):
        _finish(recipient, State.HANDED_OVER if outcome.relayed else State.ACCEPTED, now)
        return
    held = OutgoingMailRecipient.objects.filter(
        pk=recipient.pk, next_attempt_at=recipient.next_attempt_at
    ).exists()
    if not held:
        log.info("answer %s took longer than its lease and is in other hands", recipient.pk)
        return
    if isinstance(outcome, Uncertain):
        # Sent again by itself it might be there many times.
        _finish(recipient, State.UNCERTAIN, now, code=outcome.code, reply=outcome.reply)
        return
    if isinstance(outcome, Refused) or now - recipient.queued_at >= GIVE_UP_AFTER:
        _finish(recipient, State.FAILED, now, code=outcome.code, reply=outcome.reply)
        return
    recipient.failure_code, recipient.failure_reply = outcome.code, outcome.reply[:2000]
    recipient.next_attempt_at = now + max(gap_after(recipient.attempts), outcome.retry_after or timedelta())
    recipient.save(update_fields=_OUTCOME)


def _finish(
    recipient: OutgoingMailRecipient, state: str, now: datetime, *, code: str = "", reply: str = ""
) -> None:
    recipient.state = state
    recipient.failure_code, recipient.failure_reply = code, reply[:2000]
    recipient.finished_at, recipient.next_attempt_at = now, None
    recipient.save(update_fields=_OUTCOME)
