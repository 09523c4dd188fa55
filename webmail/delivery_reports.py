"""What a mail server on the way reports of a delivery that had been handed to it."""

from collections.abc import Set as AbstractSet
from datetime import datetime

from django.db import transaction

from webmail import events, undelivered
from webmail.carriers import Accepted, Outcome, Refused
from webmail.carriers.bounces import UnreadReport
from webmail.delivery_codes import CAME_BACK_UNREAD
from webmail.models import Delivery, Receipt


class TooEarly(Exception):
    """The report came before the delivery's own end was noted; it is to come again."""


def recipient_of(token: str) -> str | None:
    """The DID of the recipient of the delivery whose bounce token is `token`."""
    return Delivery.objects.filter(pk=int(token)).values_list("recipient_did", flat=True).first()


def note_report(
    token: str, outcome: Outcome, *, envelope_ids: AbstractSet[str] = frozenset(), now: datetime
) -> None:
    """Note a report for the delivery whose bounce token is `token`. May run twice.

    `envelope_ids` are the envelopes that the report returns: one that returns others than the delivery's is
    about another message, or about what was sent before it was tried again, and changes nothing. A refusal
    makes the delivery failed, and those copies (all, where none is named) ones that nobody has, so that
    trying again carries them anew; a delay is kept as the server's last words. Raises TooEarly.
    """
    delivery = Delivery.objects.select_related("message__conversation").filter(pk=int(token)).first()
    if delivery is None or isinstance(outcome, Accepted):
        return
    if delivery.state == Delivery.State.WITHDRAWN:
        return
    _wait_for_the_end(delivery)
    copies = delivery.copies.all()
    if envelope_ids and copies:
        copies = copies.filter(envelope_id__in=envelope_ids)
        if not copies:
            return
    refused = isinstance(outcome, Refused)
    changes: dict[str, object] = {"failure_code": outcome.code, "failure_reply": outcome.reply}
    if refused:
        changes |= {"state": Delivery.State.FAILED, "finished_at": now}
    with transaction.atomic():
        going_on = Delivery.objects.filter(pk=delivery.pk, state=delivery.state)
        changed = going_on.exclude(state=Delivery.State.FAILED).exclude(**changes).update(**changes)
        if refused and going_on.model.objects.filter(pk=delivery.pk, state=Delivery.State.FAILED).exists():
            copies.update(accepted_at=None)
    if changed:
        undelivered.note(delivery.message, failed_at=now)
        _tell(delivery)


def note_unread(token: str, report: UnreadReport) -> None:
    """Keep the words of a report that could not be read with the delivery whose bounce token is `token`.

    The first ones stay, whatever else comes, and nothing of what is known is taken back: one that failed, or
    that somebody opened, is left as it is. Raises TooEarly.
    """
    delivery = Delivery.objects.select_related("message__conversation").filter(pk=int(token)).first()
    if delivery is None:
        return
    _wait_for_the_end(delivery)
    copies = delivery.copies.all()
    if report.envelope_ids and copies and not copies.filter(envelope_id__in=report.envelope_ids):
        return
    if Receipt.objects.filter(message=delivery.message_id, recipient_did=delivery.recipient_did).exists():
        return
    has_ended = (Delivery.State.HANDED_OVER, Delivery.State.ACCEPTED)
    unnoted = Delivery.objects.filter(pk=delivery.pk, state__in=has_ended).exclude(
        failure_code=CAME_BACK_UNREAD
    )
    if unnoted.update(failure_code=CAME_BACK_UNREAD, failure_reply=report.words):
        _tell(delivery)


def _wait_for_the_end(delivery: Delivery) -> None:
    if delivery.state in (Delivery.State.QUEUED, Delivery.State.HELD, Delivery.State.SEALED):
        raise TooEarly("the delivery is still under way")


def _tell(delivery: Delivery) -> None:
    message = delivery.message
    events.conversation_changed(message.account_id, message.conversation.conversation_id, message.message_id)
