"""Whether the signer of a message is who the message says, by the signer's own server (protocol §4)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import lookups, peers
from accounts.models import Account, Peer, PeerCertificate
from crypto_agent.client import OpenedMessage
from webmail import (
    archive,
    consent,
    conversation_settings,
    events,
    groups,
    late_receipts,
    left_groups,
    mentions,
    queues,
    signers_left_alone,
    topics,
)
from webmail.blocked import blocked_among
from webmail.models import Conversation, Message
from webmail.push import notices

log = logging.getLogger(__name__)

#: Verdicts that say nothing about the signer, only that the check could not be made now.
NOT_NOW = frozenset({"signer-unreachable"})
#: After this nobody is asked again by itself; a person may still try.
GIVE_UP_AFTER = timedelta(days=5)
#: Seconds that one pull may ask for signers while other messages wait; those left are checked one by one.
PATIENCE = 2.0
#: How soon a check is tried again for which a server was left alone.
SPARED_GAP = timedelta(seconds=1)
#: How long a check that was given to a worker is left to it.
IN_HAND = timedelta(minutes=10)


@dataclass(frozen=True)
class Verdict:
    trust: Message.Trust
    code: str


def check_all(
    account: Account, messages: Iterable[OpenedMessage], *, now: datetime, seconds: float
) -> dict[tuple[str, str], Verdict]:
    """The verdict on each (DID, fingerprint) that signed any of the account's messages; one look-up for each.

    Who is known here already comes first. When the look-ups have taken ``seconds``, those left are
    unchecked, and tried again one by one. Of those whose servers are left alone only what these said before
    counts (see signers_left_alone.py).
    """
    latest: dict[tuple[str, str], OpenedMessage] = {}
    for message in messages:
        latest[(message.sender_did, message.sender_fingerprint)] = message
    signed = {(message.sender_did, message.conversation_id) for message in latest.values()}
    apart = signers_left_alone.left_alone(account, signed)
    dids = {did for did, _fingerprint in latest}
    peer_rows = dict(Peer.objects.filter(did__in=dids).values_list("pk", "did"))
    known, kept = set(peer_rows.values()), peers.kept_certificates(peer_rows)
    verdicts: dict[tuple[str, str], Verdict] = {}
    with lookups.within(seconds):
        for signer, message in sorted(latest.items(), key=lambda item: item[0][0] not in known):
            code = apart.get(signer[0])
            with lookups.within(0) if code else nullcontext():
                verdict = check(*signer, message.sender_certificate_pem, now, kept.get(signer))
            verdicts[signer] = _not_asked(code) if code and verdict.code in NOT_NOW else verdict
    return verdicts


def _not_asked(code: str) -> Verdict:
    return Verdict(Message.Trust.UNCHECKED, code)


def check(
    did: str, fingerprint: str, certificate_pem: str, now: datetime, kept: PeerCertificate | None = None
) -> Verdict:
    """Ask the signer's server, or what it said within a day, which is ``kept`` if that is at hand; asks again
    before saying no."""
    verdict = peers.check_signer(did, fingerprint, certificate_pem, at=now, kept=kept)
    if not verdict.ok and verdict.code not in NOT_NOW:
        verdict = peers.check_signer(did, fingerprint, certificate_pem, at=now, fresh=True)
    if verdict.ok:
        return Verdict(Message.Trust.SIGNED, "")
    if verdict.code in NOT_NOW:
        return Verdict(Message.Trust.UNCHECKED, verdict.code)
    return Verdict(Message.Trust.REFUSED, verdict.code)


def first_check(verdict: Verdict, now: datetime, chance: float) -> datetime | None:
    """When a message is checked that could not be when it came, by a ``chance`` from 0 to 1 where that moment
    is not to be seen; None where it is not to be, or need not."""
    if verdict.trust != Message.Trust.UNCHECKED or verdict.code == signers_left_alone.BLOCKED:
        return None
    if verdict.code == signers_left_alone.LATER:
        return now + chance * signers_left_alone.WITHIN
    return next_check(0, now)


def next_check(attempts: int, now: datetime) -> datetime:
    """When to try again after so many checks that could not be made."""
    gaps = settings.SIGNER_CHECK_GAPS_SECONDS
    return now + timedelta(seconds=gaps[min(attempts, len(gaps) - 1)])


def check_again(message: Message) -> None:
    """Have a worker check the signer of a message now; open pages hear of the outcome."""
    if message.trust == Message.Trust.UNCHECKED:
        queues.give(queues.RECHECK, message.pk)


def recheck(message: Message, *, now: datetime | None = None) -> Message:
    """Check the signer of a message that could not be checked when it came, and archive the outcome."""
    now = now or timezone.now()
    if message.trust != Message.Trust.UNCHECKED:
        return message
    blocked = bool(blocked_among(message.account_id, [message.sender_did]))
    with lookups.sparing() as spared, lookups.within(0) if blocked else nullcontext():
        verdict = check(message.sender_did, message.sender_fingerprint, message.sender_certificate_pem, now)
    if blocked and verdict.code in NOT_NOW:
        verdict = _not_asked(signers_left_alone.BLOCKED)
    message.trust = verdict.trust
    message.trust_code = verdict.code
    message.trust_checked_at = now
    message.check_attempts += spared.seconds is None
    too_old = now - message.placed_at >= GIVE_UP_AFTER
    still_open = verdict.trust == Message.Trust.UNCHECKED
    message.next_check_at = None
    if still_open and not too_old and verdict.code != signers_left_alone.BLOCKED:
        spared_until = now + timedelta(seconds=spared.seconds or 0) + SPARED_GAP
        asked_again = next_check(message.check_attempts, now)
        message.next_check_at = asked_again if spared.seconds is None else spared_until
    read = None
    if verdict.trust == Message.Trust.SIGNED:
        message.archived_at = None
        # Before the verdict is stored, so that it is done again with the check if the agent is away.
        read = late_receipts.read_late(message)
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update().get(pk=message.conversation_id)
        # Only what was decided here: the message may have been read while its signer's server was asked.
        message.save(
            update_fields=[
                "trust",
                "trust_code",
                "trust_checked_at",
                "check_attempts",
                "next_check_at",
                "archived_at",
            ]
        )
        if read is not None:
            consent.writer_checked(message, now)
            if message.direction == Message.Direction.OUT:
                message.conversation = conversation
                left_groups.wrote(message.account, message)
            late_receipts.after_check(message, read, now=now)
            groups.apply([message])
            if mentions.changed_by([message], {conversation.pk: conversation}):
                mentions.note(conversation, mentions.unread_in([conversation])[conversation.pk])
                conversation.save(update_fields=["unread_mentions", "archived_at"])
            if message.topic:
                topics.begin([message])
    if read is not None and _is_to_be_told(message):
        notices.something_came(message.account_id)
    events.conversation_changed(message.account_id, message.conversation.conversation_id, message.message_id)
    if verdict.trust == Message.Trust.SIGNED:
        archive.archive([message], now=now)
    return message


def _is_to_be_told(message: Message) -> bool:
    """Of others browsers were woken when they came, checked or not."""
    return notices.any_browser(message.account_id) and conversation_settings.get_through([message])


def take_due(now: datetime, *, limit: int = 200) -> list[int]:
    """Keys of the messages whose signer should be checked again now; each is given out once in IN_HAND.

    A check may wait long for its turn and for a slow server. Without this every round of the scheduler would
    add one more for the same message.
    """
    rows = Message.objects.filter(trust=Message.Trust.UNCHECKED, forgotten_at=None, next_check_at__lte=now)
    found = list(rows.order_by("next_check_at").values_list("pk", flat=True)[:limit])
    rows.filter(pk__in=found).update(next_check_at=now + IN_HAND)
    return found
