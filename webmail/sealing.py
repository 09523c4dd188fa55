"""Sealing a sent message: the devices of everybody in it, one signature, one envelope per device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts import lookups, own_entries, peers
from accounts.agent import agent
from accounts.models import Account
from accounts.peers import PeerDevice
from crypto_agent.client import AgentError, AgentLocked, AgentRefused, SealedContent, SealedMessage, Target
from webmail import archive, events, key_gate, undelivered, waiting
from webmail.deliveries import give_up_or_wait
from webmail.models import Delivery, DeliveryCopy, Message

log = logging.getLogger(__name__)

#: After this many seconds of reading recipients' devices the message is sealed for those that are known:
#: while somebody waits for it, and when what was left is tried again.
QUICK_SECONDS = 4.0
DEVICES_SECONDS = 30.0

#: How the agent says that it has no key to sign with (crypto_agent/errors.py).
NO_ACTIVE_DEVICE = "NoActiveDevice"


def seal_message(
    message_pk: int,
    *,
    now: datetime | None = None,
    seconds: float = DEVICES_SECONDS,
    hand_over: Callable[[Sequence[int]], None] = lambda ready: None,
) -> list[int]:
    """Seal what is due of one message and return the keys of the deliveries that may now go out.

    ``hand_over`` is given these keys once the envelopes are durable, before the sender's own copy goes into
    the archive, for which nobody has to wait: what a failure leaves out of it is due there.
    A recipient whose devices cannot be learnt now, or within ``seconds``, is left queued for a later try;
    one that has none fails with a reason, and so do all when the sender's own device is revoked. Signing is
    deterministic, so a second run signs the same bytes. Raises crypto_agent.client.AgentError and
    webmail.mailbox.MailboxError; before the hand-over everything is as it was then.
    """
    now = now or timezone.now()
    message = Message.objects.select_related("account", "conversation").get(pk=message_pk)
    queued = _take_queued(message, now)
    if not queued and (message.state != Message.State.COMPOSED or _is_not_to_be_sealed(message)):
        return []
    devices = _devices_of_all(queued, now, seconds)
    held = key_gate.held_back(message, queued, _fingerprints(queued, devices))
    if held:
        queued = [delivery for delivery in queued if delivery.pk not in held]
        devices = {pk: found for pk, found in devices.items() if pk not in held}
        if not queued:
            _tell(message, now)
            return []
    targets = [device for found in devices.values() for device in found or ()]
    own = _own_other_devices(message) if message.state == Message.State.COMPOSED else []
    try:
        sealed = agent().seal(
            message.account.did,
            SealedContent(message.conversation.conversation_id, message.message_id, bytes(message.sealed)),
            [_target(device) for device in [*targets, *own]],
        )
    except AgentError as error:
        if isinstance(error, AgentRefused) and error.code == NO_ACTIVE_DEVICE:
            for delivery in queued:
                _fail(delivery, "no-own-device", now)
            _tell(message, now)
            return []
        if isinstance(error, AgentLocked):
            # Nothing of these has failed: whoever unlocks the account finds it due.
            could_be = [delivery.pk for delivery in queued if devices[delivery.pk]]
            Delivery.objects.filter(pk__in=could_be, state=Delivery.State.QUEUED).update(next_attempt_at=now)
        if any(delivery.state == Delivery.State.FAILED for delivery in queued):
            # The next try knows nothing of who had no device in this one.
            _tell(message, now)
        raise
    sealed_for = [delivery for delivery in queued if devices[delivery.pk]]
    ready = _store_all(message, sealed_for, sealed, now, with_own=bool(own))
    hand_over(ready)
    if message.way_shows:
        _tell(message, now)
    message.refresh_from_db()
    if message.state != Message.State.COMPOSED:
        archive.archive([message], now=now)
    return ready


def _tell(message: Message, now: datetime) -> None:
    undelivered.note(message, failed_at=now)
    events.conversation_changed(message.account_id, message.conversation.conversation_id, message.message_id)


def due(now: datetime, *, older_than: timedelta, limit: int = 500) -> list[int]:
    """Keys of the messages that wait to be sealed, those younger than `older_than` left out.

    Those of locked accounts are left out too: they begin at the unlocking.
    """
    of_message = Delivery.objects.filter(message=OuterRef("pk"))
    stopped = of_message.filter(
        state__in=[Delivery.State.FAILED, Delivery.State.HELD, Delivery.State.WITHDRAWN]
    )
    rows = Message.objects.filter(placed_at__lt=now - older_than).filter(
        # One that could not be signed, or that may not be sealed, waits for its sender.
        (Q(state=Message.State.COMPOSED) & ~Exists(stopped))
        | Q(deliveries__state=Delivery.State.QUEUED, deliveries__next_attempt_at__lte=now)
    )
    rows = rows.exclude(account__in=waiting.waiting_accounts(now))
    return list(rows.order_by("pk").values_list("pk", flat=True).distinct()[:limit])


def _take_queued(message: Message, now: datetime) -> list[Delivery]:
    """The deliveries that are due, for this worker alone until their lease ends.

    Without this each round of the scheduler would set another worker to wait for the same slow servers.
    """
    rows = message.deliveries.filter(state=Delivery.State.QUEUED, next_attempt_at__lte=now)
    lease = now + timedelta(seconds=settings.DELIVERY_LEASE_SECONDS)
    return [delivery for delivery in rows if rows.filter(pk=delivery.pk).update(next_attempt_at=lease) == 1]


def _is_not_to_be_sealed(message: Message) -> bool:
    """Whether another worker has the message in hand, it waits for somebody's server, or its sender, or was
    stopped."""
    states = [Delivery.State.QUEUED, Delivery.State.HELD, Delivery.State.WITHDRAWN]
    return message.deliveries.filter(state__in=states).exists()


def _devices_of_all(
    queued: Sequence[Delivery], now: datetime, seconds: float
) -> dict[int, list[PeerDevice] | None]:
    """Each recipient's devices. Those whom slow servers leave no time for wait for the next try, so that
    they keep the message from nobody else."""
    with lookups.within(seconds):
        return {delivery.pk: _devices(delivery, now) for delivery in queued}


def _fingerprints(
    queued: Sequence[Delivery], devices: Mapping[int, list[PeerDevice] | None]
) -> dict[str, list[str]]:
    """By DID, the devices of those whose devices were learnt."""
    return {
        delivery.recipient_did: [device.fingerprint for device in found]
        for delivery in queued
        if (found := devices[delivery.pk])
    }


def _devices(delivery: Delivery, now: datetime) -> list[PeerDevice] | None:
    """The recipient's devices; None, with the reason stored, when there are none to seal for."""
    try:
        found = _sealed_for(delivery.message.account, delivery.recipient_did)
        if not found:
            # A cached "none" may be older than the person's first device.
            found = _sealed_for(delivery.message.account, delivery.recipient_did, fresh=True)
    except peers.PeerError as error:
        log.info("devices of a recipient could not be read: %s", error.code)
        give_up_or_wait(delivery, error.code, str(error), now=now)
        return None
    if not found:
        _fail(delivery, "no-device", now)
        return None
    return found


def _own_other_devices(message: Message) -> list[PeerDevice]:
    """The sender's devices that get copies; none where they cannot be read."""
    try:
        return _sealed_for(message.account, message.account.did)
    except peers.PeerError as error:
        log.info("own devices could not be read: %s", error.code)
        return []


def _sealed_for(sender: Account, did: str, *, fresh: bool = False) -> list[PeerDevice]:
    """The devices of somebody that get copies of what an account sends. Raises peers.PeerError.

    Of its own these are not the agent, which keeps its own copy in the archive, nor those that turned up in
    the repository and of which its owner knows nothing.
    """
    found = peers.devices_of(did, fresh=fresh)
    if did != sender.did:
        return found
    own = set(sender.devices.values_list("fingerprint", flat=True))
    others = [device for device in found if device.fingerprint not in own]
    if not others:
        return []
    own_entries.note_devices(sender)
    unknown = own_entries.unknown_devices(sender)
    return [device for device in others if device.fingerprint not in unknown]


def _target(device: PeerDevice) -> Target:
    return Target(device.did, device.fingerprint, device.certificate_pem, device.prekey)


@transaction.atomic
def _store_all(
    message: Message, sealed_for: Sequence[Delivery], sealed: SealedMessage, now: datetime, *, with_own: bool
) -> list[int]:
    """Keep the signed message and its envelopes; the keys of the deliveries that may now go out.

    What stopped waiting meanwhile gets none. `with_own`: the sender's other devices do, unless the sender
    stopped all of it.
    """
    states = dict(message.deliveries.select_for_update().order_by("pk").values_list("pk", "state"))
    still_queued = {pk for pk, state in states.items() if state == Delivery.State.QUEUED}
    if not still_queued and Delivery.State.WITHDRAWN in states.values():
        return []
    ready = [
        delivery.pk
        for delivery in sealed_for
        if delivery.pk in still_queued and _store(delivery, sealed, now)
    ]
    if with_own:
        ready += _store_own(message, sealed, now)
    signer = message.account.devices.active(now).first()
    Message.objects.filter(pk=message.pk).update(
        sealed=sealed.sealed,
        state=Message.State.SEALED,
        sender_fingerprint=signer.fingerprint if signer else "",
    )
    return ready


def _store(delivery: Delivery, sealed: SealedMessage, now: datetime) -> bool:
    """Keep the envelopes for one recipient; False when none could be sealed."""
    copies = [copy for copy in sealed.copies if copy.did == delivery.recipient_did]
    if not copies:
        _fail(delivery, "no-usable-device", now)
        return False
    delivery.copies.filter(accepted_at=None).delete()
    kept = set(delivery.copies.values_list("fingerprint", flat=True))
    DeliveryCopy.objects.bulk_create(
        DeliveryCopy(
            delivery=delivery,
            fingerprint=copy.fingerprint,
            form=copy.form,
            envelope_id=copy.envelope_id,
            envelope=copy.envelope,
        )
        for copy in copies
        if copy.fingerprint not in kept
    )
    delivery.state = Delivery.State.SEALED
    delivery.sealed_at = delivery.next_attempt_at = now
    delivery.save(update_fields=["state", "sealed_at", "next_attempt_at"])
    return True


def _store_own(message: Message, sealed: SealedMessage, now: datetime) -> Sequence[int]:
    delivery, _created = Delivery.objects.get_or_create(
        message=message, recipient_did=message.account.did, defaults={"created_at": now}
    )
    return [delivery.pk] if _store(delivery, sealed, now) else []


def _fail(delivery: Delivery, code: str, now: datetime) -> None:
    delivery.state = Delivery.State.FAILED
    delivery.failure_code = code
    delivery.next_attempt_at = None
    delivery.finished_at = now
    Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.State.WITHDRAWN).update(
        state=delivery.state, failure_code=code, next_attempt_at=None, finished_at=now
    )
