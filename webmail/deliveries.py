"""Carrying the envelopes of one recipient, with growing gaps between tries for up to five days."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import peers, routes
from accounts.routes import Route
from webmail import carriers, disappearing, events, ingress, own_door, undelivered
from webmail.carriers import Accepted, Deferred, Outcome, Refused
from webmail.models import Delivery, DeliveryCopy
from webmail.tries import GIVE_UP_AFTER, gap_after

log = logging.getLogger(__name__)

#: Refusals after which the recipient's devices and routes are read afresh, once.
STALE_CODES = frozenset({"address-unknown", "gone"})
#: What a try changes.
_OF_A_TRY = (
    *("state", "attempts", "open_tries", "next_attempt_at", "finished_at", "failure_code", "failure_reply"),
    *("route_kind", "route_target", "route_source", "route_reason"),
)


def deliver(delivery_pk: int, *, now: datetime | None = None) -> None:
    """Carry what a recipient's server has not yet accepted, by the first route that works.

    Another worker that holds the same delivery, or one that is not due, makes this do nothing. A crash
    after the server accepted means that it gets the same envelope again, which it knows by its id.
    """
    now = now or timezone.now()
    if not _claim(delivery_pk, now):
        return
    delivery = Delivery.objects.select_related("message__account", "message__conversation").get(
        pk=delivery_pk
    )
    copies = list(delivery.copies.filter(accepted_at=None))
    _carry(delivery, copies, now)
    message = delivery.message
    if delivery.state == Delivery.State.FAILED:
        undelivered.note(message, failed_at=now)
    if message.way_shows:
        events.conversation_changed(
            message.account_id, message.conversation.conversation_id, message.message_id
        )


def one_for_here(delivery_pks: Sequence[int]) -> int | None:
    """The first of these deliveries that leads to this very installation, so that nobody else's server is
    waited for while it is carried."""
    for delivery in Delivery.objects.filter(pk__in=delivery_pks):
        did = delivery.recipient_did
        try:
            # Asked first, as it may take a look-up to learn of a way elsewhere.
            if ingress.has_mailbox(did) and own_door.is_at(routes.routes_for(did)[:1], did):
                return delivery.pk
        except peers.PeerError:
            continue
    return None


def due(now: datetime, *, limit: int = 500) -> list[int]:
    """Keys of the deliveries that may go out now."""
    rows = Delivery.objects.filter(state=Delivery.State.SEALED, next_attempt_at__lte=now)
    return list(rows.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def give_up_or_wait(
    delivery: Delivery, code: str, reply: str, *, now: datetime, not_before: timedelta | None = None
) -> None:
    """Note a try that did not succeed: the next one after a gap, or failed when five days have passed."""
    delivery.failure_code = code
    delivery.failure_reply = reply[:2000]
    if now - delivery.created_at >= GIVE_UP_AFTER:
        _finish(delivery, Delivery.State.FAILED, now)
        return
    if delivery.state == Delivery.State.QUEUED:
        delivery.attempts += 1
    wait = max(gap_after(delivery.attempts), not_before or timedelta())
    delivery.next_attempt_at = now + wait
    _keep(delivery)


def _claim(delivery_pk: int, now: datetime) -> bool:
    lease = now + timedelta(seconds=settings.DELIVERY_LEASE_SECONDS)
    rows = Delivery.objects.filter(pk=delivery_pk, state=Delivery.State.SEALED, next_attempt_at__lte=now)
    # From here on nobody can say that their server has nothing of it, until the try has ended.
    return rows.update(next_attempt_at=lease, attempts=F("attempts") + 1, open_tries=F("open_tries") + 1) == 1


def _carry(delivery: Delivery, copies: Sequence[DeliveryCopy], now: datetime) -> None:
    try:
        ways = routes.routes_for(delivery.recipient_did)
    except peers.PeerError as error:
        delivery.open_tries -= 1
        give_up_or_wait(delivery, error.code, str(error), now=now)
        return
    if not ways:
        delivery.open_tries -= 1
        delivery.failure_code = "no-route"
        _finish(delivery, Delivery.State.FAILED, now)
        return
    problems: list[tuple[Route, Deferred | Refused]] = []
    perhaps = False
    for way in ways:
        _note_route(delivery, way)
        envelopes = [bytes(copy.envelope or b"") for copy in copies]
        if own_door.is_at([way], delivery.recipient_did):
            outcomes: Sequence[Outcome] = own_door.hand_in(delivery.recipient_did, envelopes, now=now)
        else:
            outcomes = carriers.carry(way, envelopes, bounce_token=f"{delivery.pk}")
        problem = next((outcome for outcome in outcomes if not isinstance(outcome, Accepted)), None)
        perhaps |= any(isinstance(outcome, Deferred) and outcome.perhaps for outcome in outcomes)
        with transaction.atomic():
            copies = _note_accepted(copies, outcomes, now)
            if delivery.recipient_did != delivery.message.sender_did and any(
                isinstance(outcome, Accepted) for outcome in outcomes
            ):
                disappearing.begin_sent(delivery.message, now)
            if problem is None:
                relayed = any(isinstance(outcome, Accepted) and outcome.relayed for outcome in outcomes)
                state = Delivery.State.HANDED_OVER if relayed else Delivery.State.ACCEPTED
                delivery.failure_code = delivery.failure_reply = ""
                _finish(delivery, state, now)
                return
        problems.append((way, problem))
    if not _is_ours(delivery):
        log.info("delivery %s took longer than its lease and is in other hands", delivery.pk)
        return
    if not perhaps:
        delivery.open_tries -= 1
    # While one way may open again, that another leads nowhere decides nothing.
    way, problem = next((each for each in problems if isinstance(each[1], Deferred)), problems[0])
    _note_route(delivery, way)
    _note_problem(delivery, problem, now)


def _is_ours(delivery: Delivery) -> bool:
    """Whether the lease of this try still holds. Else another worker has the delivery, or is done with it,
    and what did not succeed here says nothing."""
    return Delivery.objects.filter(pk=delivery.pk, next_attempt_at=delivery.next_attempt_at).exists()


def _note_route(delivery: Delivery, way: Route) -> None:
    delivery.route_kind = way.kind
    delivery.route_target = way.target
    delivery.route_source = way.source
    delivery.route_reason = way.reason


def _note_accepted(
    copies: Sequence[DeliveryCopy], outcomes: Sequence[Outcome], now: datetime
) -> list[DeliveryCopy]:
    """Mark what was accepted, drop its bytes, and return the copies still to be carried."""
    accepted = [
        copy.pk for copy, outcome in zip(copies, outcomes, strict=True) if isinstance(outcome, Accepted)
    ]
    DeliveryCopy.objects.filter(pk__in=accepted).update(accepted_at=now, envelope=None)
    return [copy for copy in copies if copy.pk not in accepted]


def _note_problem(delivery: Delivery, problem: Deferred | Refused, now: datetime) -> None:
    if isinstance(problem, Deferred):
        give_up_or_wait(delivery, problem.code, problem.reply, now=now, not_before=problem.retry_after)
        return
    delivery.failure_code = problem.code
    delivery.failure_reply = problem.reply[:2000]
    if problem.code in STALE_CODES and delivery.attempts <= 1:
        # The person may have moved: seal again for what their own server lists now (protocol §1).
        peers.forget(delivery.recipient_did)
        delivery.state = Delivery.State.QUEUED
        delivery.next_attempt_at = now
        _keep(delivery)
        return
    _finish(delivery, Delivery.State.FAILED, now)


def _finish(delivery: Delivery, state: Delivery.State, now: datetime) -> None:
    delivery.state = state
    delivery.finished_at = now
    delivery.next_attempt_at = None
    if state == Delivery.State.FAILED:
        _keep(delivery)
    else:
        # Also where its sender stopped it meanwhile: a server has it.
        delivery.open_tries = 0
        delivery.save()


def _keep(delivery: Delivery) -> None:
    """Write down how a try without success ended, unless the sender stopped the delivery meanwhile."""
    rows = Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.State.WITHDRAWN)
    rows.update(**{name: getattr(delivery, name) for name in _OF_A_TRY})
