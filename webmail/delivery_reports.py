"""What a mail server on the way reports of a delivery that had been handed to it."""

from datetime import datetime

from django.db import transaction

from webmail import events
from webmail.carriers import Accepted, Outcome, Refused
from webmail.models import Delivery


class TooEarly(Exception):
    """The report came before the delivery's own end was noted; it is to come again."""


def note_report(token: str, outcome: Outcome, *, now: datetime) -> None:
    """Note a report for the delivery whose bounce token is `token`. May run twice.

    A refusal makes the delivery failed, and all of its copies ones that nobody has, so that trying again
    carries them anew; a delay is kept as the server's last words. Raises TooEarly.
    """
    delivery = Delivery.objects.select_related("message__conversation").filter(pk=int(token)).first()
    if delivery is None or isinstance(outcome, Accepted):
        return
    if delivery.state in (Delivery.State.QUEUED, Delivery.State.SEALED):
        raise TooEarly("the delivery is still under way")
    if delivery.state == Delivery.State.FAILED:
        return
    changes: dict[str, object] = {"failure_code": outcome.code, "failure_reply": outcome.reply}
    if isinstance(outcome, Refused):
        changes |= {"state": Delivery.State.FAILED, "finished_at": now}
    with transaction.atomic():
        changed = Delivery.objects.filter(pk=delivery.pk, state=delivery.state).update(**changes)
        if changed and isinstance(outcome, Refused):
            # Which of them was refused, the report does not say; who has one knows the message by its id.
            delivery.copies.update(accepted_at=None)
    message = delivery.message
    events.conversation_changed(message.account_id, message.conversation.conversation_id, message.message_id)
