"""Receiving: from a mail in the INBOX to a message in a conversation, or to a reason why not.

Each step may be repeated: arrivals are known by envelope id, messages by message id. A mail leaves the
INBOX only when what it carried rests in the archive, or was moved to the Quarantine folder.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import peers
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import OpenedEnvelope
from webmail import archive, events, messages, trust
from webmail.conversations import place
from webmail.mailbox import INBOX, QUARANTINE, Mailbox, Stored, open_mailbox
from webmail.mailbox.envelope_mail import envelope_in_mail, envelope_message_id, mail_with_envelope
from webmail.models import Arrival, MailboxCursor, Message

log = logging.getLogger(__name__)

BATCH = 50


def pull(account: Account, *, now: datetime | None = None) -> int:
    """Take in what is new in the account's INBOX and finish what was left unfinished.

    Returns how many mails were new. Raises MailboxError or AgentError; what was stored so far stays,
    and the next pull goes on from there.
    """
    now = now or timezone.now()
    with open_mailbox(account.did) as mailbox:
        new = _note_arrivals(account, mailbox, now)
        _open_waiting(account, mailbox, now)
        _finish_opened(account, mailbox, now)
    return new


def _note_arrivals(account: Account, mailbox: Mailbox, now: datetime) -> int:
    cursor, _created = MailboxCursor.objects.get_or_create(account=account)
    validity = mailbox.uidvalidity(INBOX)
    if cursor.uid_validity != validity:
        cursor.uid_validity, cursor.last_uid = validity, 0
    uids = mailbox.uids_after(INBOX, cursor.last_uid)
    for start in range(0, len(uids), BATCH):
        batch = uids[start : start + BATCH]
        for stored in mailbox.fetch(INBOX, batch).values():
            _note(account, mailbox, stored, validity, now)
        cursor.last_uid = batch[-1]
        cursor.save()
    return len(uids)


def _note(account: Account, mailbox: Mailbox, stored: Stored, validity: int, now: datetime) -> None:
    """Make the arrival of one mail known, or drop it when the same envelope is known already."""
    found = envelope_in_mail(stored.raw)
    name = found.envelope_id if found else hashlib.sha256(stored.raw).hexdigest()
    arrival, created = Arrival.objects.get_or_create(
        account=account,
        envelope_id=name,
        defaults={
            "state": Arrival.State.WAITING if found else Arrival.State.KEPT_ASIDE,
            "reason": "" if found else "ordinary-mail",
            "uid_validity": validity,
            "uid": stored.uid,
            "size": stored.size,
            "arrived_at": stored.received_at,
        },
    )
    if created or (arrival.uid_validity, arrival.uid, arrival.folder) == (validity, stored.uid, INBOX):
        return
    settled = arrival.state == Arrival.State.DONE or arrival.folder == QUARANTINE
    if settled or mailbox.fetch(INBOX, [arrival.uid]).get(arrival.uid) is not None:
        mailbox.expunge(INBOX, [stored.uid])
        return
    # The mailbox was renumbered, or the first copy went away: this copy is the one to go on with.
    arrival.uid_validity, arrival.uid, arrival.folder = validity, stored.uid, INBOX
    arrival.save()


def _open_waiting(account: Account, mailbox: Mailbox, now: datetime) -> None:
    while waiting := list(
        Arrival.objects.filter(account=account, state=Arrival.State.WAITING).order_by("pk")[:BATCH]
    ):
        _open(account, mailbox, waiting, now)


def _open(account: Account, mailbox: Mailbox, arrivals: Sequence[Arrival], now: datetime) -> None:
    """Have a batch opened by the agent; afterwards none of it is WAITING any more."""
    stored = _fetch(mailbox, arrivals)
    envelopes: list[tuple[Arrival, bytes]] = []
    for arrival in arrivals:
        mail = stored.get(arrival.pk)
        found = envelope_in_mail(mail.raw) if mail else None
        if found is None:
            _keep_aside(mailbox, arrival, "gone" if mail is None else "ordinary-mail")
        else:
            envelopes.append((arrival, found.data))
    if not envelopes:
        return
    opened = agent().open(account.did, [data for _arrival, data in envelopes])
    verdicts = trust.check_all(account, [each.message for each in opened if each.message], now=now)
    for (arrival, data), each in zip(envelopes, opened, strict=True):
        _settle(account, mailbox, arrival, data, each, verdicts, now)


def _fetch(mailbox: Mailbox, arrivals: Sequence[Arrival]) -> dict[int, Stored]:
    found: dict[int, Stored] = {}
    for folder in (INBOX, QUARANTINE):
        here = [arrival for arrival in arrivals if arrival.folder == folder]
        if not here:
            continue
        stored = mailbox.fetch(folder, [arrival.uid for arrival in here])
        found |= {arrival.pk: stored[arrival.uid] for arrival in here if arrival.uid in stored}
    return found


def _settle(
    account: Account,
    mailbox: Mailbox,
    arrival: Arrival,
    envelope: bytes,
    opened: OpenedEnvelope,
    verdicts: dict[tuple[str, str], trust.Verdict],
    now: datetime,
) -> None:
    arrival.attempts += 1
    if opened.message is None:
        _keep_aside(mailbox, arrival, _why_not_opened(account, opened.error), envelope)
        return
    message = opened.message
    verdict = verdicts[(message.sender_did, message.sender_fingerprint)]
    if verdict.trust == Message.Trust.REFUSED:
        _keep_aside(mailbox, arrival, verdict.code, envelope)
        return
    if message.ephemeral:
        # Signals (protocol §5: calls, typing) are dropped; none is acted on.
        arrival.state = Arrival.State.DONE
        arrival.save()
        mailbox.expunge(arrival.folder, [arrival.uid])
        return
    kept_aside_before = bool(arrival.reason)
    with transaction.atomic():
        unchecked = verdict.trust == Message.Trust.UNCHECKED
        row, created = messages.store(
            account,
            message,
            placed_at=messages.place_in_time(message.created_at, arrival.arrived_at),
            trust=verdict.trust,
            trust_code=verdict.code,
            checked_at=now,
            next_check_at=trust.next_check(0, now) if unchecked else None,
            counted="unread",
        )
        if created:
            place(row)
        arrival.message = row
        arrival.state = Arrival.State.OPENED
        arrival.reason = ""
        arrival.save()
    events.conversation_changed(account.pk, message.conversation_id, message.message_id)
    if kept_aside_before:
        events.publish(account.pk, "kept-aside")


def _why_not_opened(account: Account, error: str | None) -> str:
    """A sender hands the copies for all devices of a person to the same door, and none says whose it is
    (protocol §3): with other devices published, what the agent cannot open is most likely theirs."""
    if error not in (None, "cannot-open"):
        return error or ""
    own = set(account.devices.values_list("fingerprint", flat=True))
    try:
        others = [device for device in peers.devices_of(account.did) if device.fingerprint not in own]
    except peers.PeerError:
        others = []
    return "for-another-device" if others else "cannot-open"


def _finish_opened(account: Account, mailbox: Mailbox, now: datetime) -> None:
    """Archive what was opened, then take the originals out of the mailbox."""
    opened = list(
        Arrival.objects.filter(account=account, state=Arrival.State.OPENED)
        .select_related("message__conversation", "message__account")
        .order_by("pk")
    )
    rows = {arrival.message.pk: arrival.message for arrival in opened if arrival.message}
    archive.archive(list(rows.values()), now=now)
    for folder in (INBOX, QUARANTINE):
        here = [arrival for arrival in opened if arrival.folder == folder]
        if here:
            mailbox.expunge(folder, [arrival.uid for arrival in here])
            Arrival.objects.filter(pk__in=[arrival.pk for arrival in here]).update(state=Arrival.State.DONE)


def _keep_aside(mailbox: Mailbox, arrival: Arrival, reason: str, envelope: bytes | None = None) -> None:
    """Set a mail aside with its reason. An envelope goes to the Quarantine folder; ordinary mail stays
    in the INBOX for other programs. The copy is noted before the original goes, so none is ever lost."""
    arrival.state = Arrival.State.KEPT_ASIDE
    arrival.reason = reason
    original = arrival.uid if arrival.folder == INBOX and envelope else None
    if original and envelope:
        there = mailbox.find(QUARANTINE, envelope_message_id(arrival.envelope_id))
        arrival.folder = QUARANTINE
        arrival.uid = there[0] if there else mailbox.append(QUARANTINE, mail_with_envelope(envelope)).uid
        arrival.uid_validity = mailbox.uidvalidity(QUARANTINE)
    arrival.save()
    if original:
        mailbox.expunge(INBOX, [original])
    events.publish(arrival.account_id, "kept-aside")
