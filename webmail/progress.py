"""How far a sent message came, in the words of the pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.prepared_rows import PreparedRows
from webmail import reasons
from webmail.blocked import blocked_among
from webmail.delivery_codes import CAME_BACK_UNREAD, KEYS_CHANGED, WAITED_WITH_OTHERS
from webmail.models import Delivery, Message, Receipt
from webmail.people import Person
from webmail.withdrawing import is_perhaps_there

#: From not sealed yet (0) to their server having it (3).
STEP_OF = {
    Delivery.State.QUEUED: 0,
    Delivery.State.HELD: 0,
    Delivery.State.SEALED: 1,
    Delivery.State.HANDED_OVER: 2,
    Delivery.State.ACCEPTED: 3,
}
#: A device of theirs has said that it opened it.
OPENED = 4
#: After so many tries without success it is no more on its way, it waits.
SOME_TRIES = 3
_DELIVERIES = PreparedRows(
    lambda messages: Delivery.objects.filter(message__in=messages).only(
        *("message", "recipient_did", "state", "failure_code", "attempts", "open_tries", "asked_again_at")
    )
)
_RECEIPTS = PreparedRows(
    lambda messages: Receipt.objects.filter(message__in=messages).only(
        "message", "recipient_did", "opened_at", "read_at"
    )
)


@dataclass(frozen=True)
class Progress:
    """`steps` is how many of the four drops are filled; `failure` names who did not get it and why; `held`
    says that it waits for its sender, `waits` that it does for somebody's server, as `words` then say. `mark`
    is another one for every other state, and short."""

    steps: int
    words: str
    failure: str | None
    can_retry: bool
    mark: str
    held: bool = False
    waits: bool = False
    #: Whether nobody's server has any of it, nor may have it, so that it may be thrown away.
    can_discard: bool = False
    #: Whether nobody but its writer gets it: it has no way to go, it is only kept.
    alone: bool = False


def prefetch(messages: Iterable[Message]) -> None:
    """Finds what is known of the ways of an account's messages, in two queries where there are any of its own
    (received ones have none), and a third where somebody opened one."""
    own = [message for message in messages if message.direction == Message.Direction.OUT]
    by_message = {message.pk: vars(message) for message in own}
    # As plain lists, which spares a query set for each message.
    for known in by_message.values():
        known |= {"known_deliveries": [], "known_receipts": []}
    for delivery in _DELIVERIES.rows(list(by_message)):
        by_message[delivery.message_id]["known_deliveries"].append(delivery)
    for receipt in _RECEIPTS.rows(list(by_message)):
        by_message[receipt.message_id]["known_receipts"].append(receipt)
    opened = [message for message in own if _receipts(message)]
    if opened:
        blocked = blocked_among(opened[0].account_id, set().union(*map(_recipients, opened)))
        for message in opened:
            vars(message)["known_blocked"] = blocked


def prefetch_versions(messages: Iterable[Message], latest: Mapping[int, Message]) -> None:
    """Lets the states of an account's messages say as well what became of their newest versions, which
    ``latest`` has by the messages' keys. One query where there is any of its own."""
    own = [each for each in messages if each.direction == Message.Direction.OUT and each.pk in latest]
    by_version = {latest[each.pk].pk: vars(latest[each.pk]) for each in own}
    if not by_version:
        return
    for known in by_version.values():
        known |= {"known_deliveries": [], "known_receipts": []}
    for delivery in _DELIVERIES.rows(list(by_version)):
        by_version[delivery.message_id]["known_deliveries"].append(delivery)
    for message in own:
        vars(message)["known_version"] = latest[message.pk]


def is_known(message: Message) -> bool:
    """Whether anything is known of the way of a message: not of one restored of which nobody told."""
    own = message.direction == Message.Direction.OUT
    return own and bool(_deliveries(message) or _receipts(message))


def of_message(message: Message, people: Mapping[str, Person]) -> Progress:
    """The state of a sent message that was given to prefetch(), and prefetch_versions(): where its newest
    edit, or that it was taken back, did not arrive, that is said.
    """
    state = _of_itself(message, people)
    version: Message | None = vars(message).get("known_version")
    return state if version is None else _with_version(state, version, people)


def _of_itself(message: Message, people: Mapping[str, Person]) -> Progress:
    """The state of one message alone. The slowest recipient decides.

    Deliveries to the sender's own other devices do not count, nor do those that were stopped. Whoever opened
    it has it, whatever a server on the way says. How many opened or read it, and of how many, is said
    without those whom the account blocks.
    """
    sent = [delivery for delivery in _deliveries(message) if delivery.recipient_did != message.sender_did]
    deliveries = [delivery for delivery in sent if delivery.state != Delivery.State.WITHDRAWN]
    receipts = _receipts(message)
    has_it = {receipt.recipient_did for receipt in receipts}
    failed = [
        delivery
        for delivery in deliveries
        if delivery.state == Delivery.State.FAILED and delivery.recipient_did not in has_it
    ]
    if failed:
        failure = _failure(failed, people, _("Not delivered to %(name)s: %(reason)s"))
        nobody = nobody_has(message)
        mark = f"0f{len(failed)}{'d' if nobody else ''}"
        return Progress(0, _("Not delivered"), failure, can_retry=True, mark=mark, can_discard=nobody)
    steps = {
        delivery.recipient_did: STEP_OF.get(Delivery.State(delivery.state), 0) for delivery in deliveries
    }
    if receipts and not steps:
        # Its deliveries went with an index that was lost: that it was sealed is all that is known besides.
        steps = dict.fromkeys(set(message.conversation.participants) - {message.sender_did}, 1)
    if sent and not deliveries:
        return Progress(0, _stopped(), None, can_retry=False, mark="0x", alone=True)
    if not steps:
        stored = message.state != Message.State.COMPOSED
        words = _("Kept in your archive") if stored else _("Sealing")
        mark = "k" if stored else "0"
        return Progress(3 if stored else 0, words, None, can_retry=False, mark=mark, alone=True)
    if held := _held(deliveries, people):
        nobody = nobody_has(message)
        mark = f"0h{'d' if nobody else ''}"
        return Progress(0, held, None, can_retry=False, mark=mark, held=True, can_discard=nobody)
    if waiting := [each for each in deliveries if _is_stuck(each) and each.recipient_did not in has_it]:
        nobody = nobody_has(message)
        slowest = min(steps[each.recipient_did] for each in waiting)
        return Progress(
            slowest,
            _said_of(waiting[0], people, _("Waiting for %(name)s: %(reason)s")),
            None,
            can_retry=False,
            mark=f"{slowest}w{len(waiting)}{waiting[0].failure_code}{'-d' if nobody else ''}",
            waits=True,
            can_discard=nobody,
        )
    blocked = _blocked(message)
    # Of one who is blocked alone, what their server said is known.
    steps = {did: step for did, step in steps.items() if did not in blocked} or steps
    opened, read = opened_by(receipt for receipt in receipts if receipt.recipient_did not in blocked)
    slowest = min(OPENED if did in opened else step for did, step in steps.items())
    mark = f"{slowest}o{len(opened)}r{len(read)}" if opened else f"{slowest}"
    words = _words(slowest, sorted(steps), opened, read, people)
    if not opened and any(was_written_about(delivery) for delivery in deliveries):
        mark, words = f"{mark}u", _("A mail server wrote about it")
    return Progress(slowest, words, None, can_retry=False, mark=mark, can_discard=nobody_has(message))


def trouble_of(message: Message, people: Mapping[str, Person]) -> Progress | None:
    """The same as long as it has not arrived for a reason; of what can't be discarded by itself."""
    state = of_message(message, people)
    return replace(state, can_discard=False) if state.failure or state.held or state.waits else None


def _with_version(state: Progress, version: Message, people: Mapping[str, Person]) -> Progress:
    """The state of a message of which this is the newest version."""
    sent = [each for each in _deliveries(version) if each.recipient_did != version.sender_did]
    failed = [each for each in sent if each.state == Delivery.State.FAILED]
    late = [each for each in sent if each.state == Delivery.State.HELD or _is_stuck(each)]
    if version.takes_back:
        if state.failure or state.held or state.waits:
            # What became of the message itself is of no more account.
            state = _of_itself(version, people)
        state = replace(state, can_discard=False)
        not_for, not_yet = (
            _("Taken back, but not for %(name)s: %(reason)s"),
            _("Taken back, but not yet for %(name)s: %(reason)s"),
        )
    elif state.failure or state.held:
        return state
    else:
        not_for, not_yet = (
            _("Edited, but not for %(name)s: %(reason)s"),
            _("Edited, but not yet for %(name)s: %(reason)s"),
        )
    if failed:
        failure = _failure(failed, people, not_for)
        return Progress(0, _("Not delivered"), failure, can_retry=True, mark=f"vf{len(failed)}")
    if late:
        mark = f"{state.mark}v{len(late)}{late[0].failure_code}"
        return replace(
            state, words=_said_of(late[0], people, not_yet), waits=True, held=False, alone=False, mark=mark
        )
    return state


def opened_by(receipts: Iterable[Receipt]) -> tuple[set[str], set[str]]:
    """The DIDs of those who opened a message, and of those who read it."""
    found = list(receipts)
    return (
        {receipt.recipient_did for receipt in found},
        {receipt.recipient_did for receipt in found if receipt.read_at},
    )


def was_written_about(delivery: Delivery) -> bool:
    """Whether a mail server wrote of a delivery what could not be read: it may have failed, or may not."""
    has_ended = delivery.state in (Delivery.State.HANDED_OVER, Delivery.State.ACCEPTED)
    return has_ended and delivery.failure_code == CAME_BACK_UNREAD


def nobody_has(message: Message) -> bool:
    """Whether there is nothing of a sent message but here, as far as its deliveries say: what is on its way
    can be stopped, or has failed. Without any, nobody knows."""
    deliveries = [each for each in _deliveries(message) if each.state != Delivery.State.WITHDRAWN]
    return bool(deliveries) and not _receipts(message) and not any(map(is_perhaps_there, deliveries))


def _deliveries(message: Message) -> Sequence[Delivery]:
    known: Sequence[Delivery] | None = vars(message).get("known_deliveries")
    return list(message.deliveries.all()) if known is None else known


def _receipts(message: Message) -> Sequence[Receipt]:
    known: Sequence[Receipt] | None = vars(message).get("known_receipts")
    return list(message.receipts.all()) if known is None else known


def _recipients(message: Message) -> set[str]:
    """Whom a sent message was for, as far as its way is known; all of the conversation where it is not."""
    deliveries = _deliveries(message)
    if not deliveries:
        return set(message.conversation.participants)
    return {each.recipient_did for each in deliveries} | {each.recipient_did for each in _receipts(message)}


def _blocked(message: Message) -> Collection[str]:
    """Those of its recipients whom the account blocks, if anybody opened it."""
    known: Collection[str] | None = vars(message).get("known_blocked")
    if known is None and _receipts(message):
        return blocked_among(message.account_id, _recipients(message))
    return known or ()


def words_at(steps: int, recipients: int = 1) -> str:
    """The words beside the drops."""
    if steps == OPENED:
        return _("Opened on their device") if recipients == 1 else _("Opened on everybody's device")
    if steps == 3:
        return _("Their server has it") if recipients == 1 else _("Their servers have it")
    return [_("Sealing"), _("Sealed"), _("Handed over")][steps]


def of_delivery(delivery: Delivery, receipts: Iterable[Receipt] = ()) -> tuple[int, str]:
    """The step and the words for one recipient, whose `receipts` these are."""
    opened, read = opened_by(receipts)
    if read:
        return OPENED, _("Read")
    if opened:
        return OPENED, words_at(OPENED)
    if delivery.state == Delivery.State.FAILED:
        return 0, _("Not delivered")
    if delivery.state == Delivery.State.HELD:
        return 0, _("Waits for you")
    if delivery.state == Delivery.State.WITHDRAWN:
        return 0, _stopped()
    step = STEP_OF[Delivery.State(delivery.state)]
    if was_written_about(delivery):
        return step, _("A mail server wrote about it")
    return step, words_at(step)


def _words(
    slowest: int, recipients: Sequence[str], opened: set[str], read: set[str], people: Mapping[str, Person]
) -> str:
    total = len(recipients)
    if read and total == 1:
        return _("Read by %(name)s") % {"name": _name(recipients[0], people)}
    if read:
        if len(read) >= total:
            return _("Read by everybody")
        return _("Read by %(count)d of %(total)d") % {"count": len(read), "total": total}
    if opened and slowest < OPENED:
        counts = {"count": len(opened), "total": total}
        return _("Opened on the device of %(count)d of %(total)d") % counts
    return words_at(slowest, total)


def _name(did: str, people: Mapping[str, Person]) -> str:
    return people[did].name if did in people else did


def _held(deliveries: list[Delivery], people: Mapping[str, Person]) -> str:
    """What a message waits for that its sender has to look at; empty when there is nothing."""
    held = [delivery for delivery in deliveries if delivery.state == Delivery.State.HELD]
    if not held:
        return ""
    first = next((delivery for delivery in held if delivery.failure_code == KEYS_CHANGED), held[0])
    return _("Waits until you look at the keys of %(name)s") % {"name": _name(first.recipient_did, people)}


def _stopped() -> str:
    return _("Stopped before it was sent")


def _is_stuck(delivery: Delivery) -> bool:
    """Whether it was tried in vain for some time, or a mail server on the way says that it is delayed."""
    if not delivery.failure_code or was_written_about(delivery):
        return False
    moving = delivery.state in (Delivery.State.QUEUED, Delivery.State.SEALED)
    return delivery.attempts >= SOME_TRIES if moving else delivery.state == Delivery.State.HANDED_OVER


def _said_of(delivery: Delivery, people: Mapping[str, Person], words: str) -> str:
    return words % {
        "name": _name(delivery.recipient_did, people),
        "reason": reasons.of_delivery(delivery.failure_code),
    }


def _failure(failed: list[Delivery], people: Mapping[str, Person], words: str) -> str:
    # Of somebody who only waited with others, there is less to say.
    first = next((each for each in failed if each.failure_code != WAITED_WITH_OTHERS), failed[0])
    sentence = _said_of(first, people, words)
    if len(failed) > 1:
        more = len(failed) - 1
        sentence += " " + ngettext("And %(count)d more.", "And %(count)d more.", more) % {"count": more}
    return sentence
