"""How far a sent message came, in the words of the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webmail import reasons
from webmail.models import Delivery, Message
from webmail.people import Person

#: From not sealed yet (0) to their server having it (3); opened on their device would be 4.
STEP_OF = {
    Delivery.State.QUEUED: 0,
    Delivery.State.SEALED: 1,
    Delivery.State.HANDED_OVER: 2,
    Delivery.State.ACCEPTED: 3,
}


@dataclass(frozen=True)
class Progress:
    """`steps` is how many of the four drops are filled; `failure` names who did not get it and why."""

    steps: int
    words: str
    failure: str | None
    can_retry: bool


def of_message(message: Message, people: Mapping[str, Person]) -> Progress:
    """The state of a sent message whose deliveries are prefetched. The slowest recipient decides.

    Deliveries to the sender's own other devices do not count.
    """
    deliveries = [
        delivery for delivery in message.deliveries.all() if delivery.recipient_did != message.sender_did
    ]
    failed = [delivery for delivery in deliveries if delivery.state == Delivery.State.FAILED]
    steps = min((STEP_OF.get(Delivery.State(delivery.state), 0) for delivery in deliveries), default=3)
    if failed:
        return Progress(0, _("Not delivered"), _failure(failed, people), can_retry=True)
    if not deliveries:
        stored = message.state != Message.State.COMPOSED
        return Progress(
            3 if stored else 0, _("Kept in your archive") if stored else _("Sealing"), None, False
        )
    return Progress(steps, words_at(steps, len(deliveries)), None, can_retry=False)


def words_at(steps: int, recipients: int = 1) -> str:
    """The words beside the drops."""
    if steps == 3:
        return ngettext("Their server has it", "Their servers have it", recipients)
    return [_("Sealing"), _("Sealed"), _("Handed over")][steps]


def of_delivery(delivery: Delivery) -> str:
    """The words for one recipient."""
    if delivery.state == Delivery.State.FAILED:
        return _("Not delivered")
    return words_at(STEP_OF[Delivery.State(delivery.state)])


def _failure(failed: list[Delivery], people: Mapping[str, Person]) -> str:
    first = failed[0]
    name = people[first.recipient_did].name if first.recipient_did in people else first.recipient_did
    sentence = _("Not delivered to %(name)s: %(reason)s") % {
        "name": name,
        "reason": reasons.of_delivery(first.failure_code),
    }
    if len(failed) > 1:
        more = len(failed) - 1
        sentence += " " + ngettext("And %(count)d more.", "And %(count)d more.", more) % {"count": more}
    return sentence
