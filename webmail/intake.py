"""Receiving: from a mail in the INBOX to a message in a conversation, or to a reason why not.

Each step may be repeated: arrivals are known by envelope id, messages by message id. A mail leaves the
INBOX only when what it carried rests in the archive, or was moved to the Quarantine folder.
"""

from __future__ import annotations

import hashlib
import logging
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import peers
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError, OpenedEnvelope, OpenedMessage
from webmail import (
    acknowledging,
    another_copy,
    archive,
    conversation_settings,
    events,
    groups,
    messages,
    queues,
    receipts,
    trust,
    waiting,
)
from webmail.conversations import place
from webmail.mailbox import INBOX, QUARANTINE, Mailbox, Stored, open_mailbox
from webmail.mailbox.envelope_mail import (
    Envelope,
    envelope_in_mail,
    envelope_message_id,
    mail_with_envelope,
)
from webmail.models import Arrival, Conversation, MailboxCursor, Message
from webmail.push import notices

log = logging.getLogger(__name__)

BATCH = 50


def pull(account: Account, *, now: datetime | None = None) -> int:
    """Take in what is new in the account's INBOX and finish what was left unfinished.

    While the account's keys are locked, what is new waits where it is. Returns how many mails were new.
    Raises MailboxError or AgentError; what was stored so far stays, and the next pull goes on from there.
    """
    return _pull(account, now or timezone.now(), math.inf).new


def pull_part(account: Account, *, seconds: float, now: datetime | None = None) -> bool:
    """The same for so many seconds, and whether there is more. Raises as `pull`."""
    return _pull(account, now or timezone.now(), seconds).more


@dataclass(frozen=True)
class _Pulled:
    new: int
    more: bool


def _pull(account: Account, now: datetime, seconds: float) -> _Pulled:
    """Each batch is opened, and shown, before the next is fetched; the archive comes last."""
    began = time.monotonic()
    end, signers_until = began + seconds, began + trust.PATIENCE
    is_waiting = waiting.is_waiting(account.pk, now)
    problem: AgentError | None = None
    new = 0
    with open_mailbox(account.did) as mailbox:
        for noted in _note_arrivals(account, mailbox, now):
            new += noted
            if is_waiting or problem is not None:
                continue
            try:
                _open_waiting(account, mailbox, now, signers_until)
            except AgentError as error:
                # Ordinary mail needs no agent: all there is becomes known first.
                problem = error
            if time.monotonic() > end:
                return _Pulled(new, more=True)
        if problem is not None:
            raise problem
        if is_waiting:
            return _Pulled(new, more=False)
        _open_waiting(account, mailbox, now, signers_until)
        return _Pulled(new, more=_finish_opened(account, mailbox, now, end))


def _note_arrivals(account: Account, mailbox: Mailbox, now: datetime) -> Iterator[int]:
    """Makes what is new known, batch by batch: the size of each."""
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
        yield len(batch)


def _note(account: Account, mailbox: Mailbox, stored: Stored, validity: int, now: datetime) -> None:
    """Make the arrival of one mail known, or drop it when the same envelope is known already."""
    found = envelope_in_mail(stored.raw)
    name = found.envelope_id if found else _name_of_mail(stored)
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
    # Another program may have removed what was set aside.
    settled = arrival.state == Arrival.State.DONE or (
        arrival.folder == QUARANTINE and bool(mailbox.find(QUARANTINE, envelope_message_id(name)))
    )
    # A number from before a renumbering names another mail now, or this very one.
    has_other_copy = (arrival.folder, arrival.uid_validity) == (INBOX, validity) and bool(
        mailbox.fetch(INBOX, [arrival.uid])
    )
    if settled or has_other_copy:
        mailbox.expunge(INBOX, [stored.uid])
        return
    # The mailbox was renumbered, or the first copy went away: this copy is the one to go on with.
    waits = arrival.reason == "gone" or arrival.folder == QUARANTINE
    state = Arrival.State.WAITING if waits else arrival.state
    Arrival.objects.filter(pk=arrival.pk).update(
        uid_validity=validity, uid=stored.uid, folder=INBOX, state=state
    )


def _name_of_mail(stored: Stored) -> str:
    """Names ordinary mail by what was fetched of it and by its size, as long mail is fetched in part."""
    return hashlib.sha256(stored.raw + str(stored.size).encode()).hexdigest()


def _open_waiting(account: Account, mailbox: Mailbox, now: datetime, signers_until: float) -> None:
    while waiting := list(
        Arrival.objects.filter(account=account, state=Arrival.State.WAITING).order_by("pk")[:BATCH]
    ):
        _open(account, mailbox, waiting, now, signers_until - time.monotonic())


def _open(
    account: Account,
    mailbox: Mailbox,
    arrivals: Sequence[Arrival],
    now: datetime,
    seconds: float = trust.PATIENCE,
) -> None:
    """Have a batch opened by the agent; afterwards none of it is WAITING any more. Signers' servers are asked
    for so many seconds at most; what that leaves unchecked is given to other workers."""
    found = _envelopes(mailbox, arrivals)
    for arrival in arrivals:
        if arrival.pk not in found:
            _keep_aside(mailbox, arrival, "gone", None, now)
    present = [arrival for arrival in arrivals if arrival.pk in found]
    if not present:
        return
    opened = agent().open(account.did, [found[arrival.pk] for arrival in present])
    signed = [each.message for each in opened if each.message]
    verdicts = trust.check_all(signed, now=now, seconds=seconds)
    for arrival, each in zip(present, opened, strict=True):
        _settle(account, mailbox, arrival, found[arrival.pk], each, verdicts, now)


def _envelopes(mailbox: Mailbox, arrivals: Sequence[Arrival]) -> dict[int, bytes]:
    """The envelopes by arrival. One that is not where it was noted is looked for by its Message-ID: a worker
    may have died between moving it and noting so, or the folder was renumbered."""
    found: dict[int, bytes] = {}
    for folder in (INBOX, QUARANTINE):
        here = {arrival.uid: arrival for arrival in arrivals if arrival.folder == folder}
        for uid, mail in (mailbox.fetch(folder, list(here)) if here else {}).items():
            envelope = envelope_in_mail(mail.raw)
            if envelope and envelope.envelope_id == here[uid].envelope_id:
                found[here[uid].pk] = envelope.data
    for arrival in arrivals:
        if arrival.pk not in found and (envelope := _look_for(mailbox, arrival)):
            found[arrival.pk] = envelope.data
    return found


def _look_for(mailbox: Mailbox, arrival: Arrival) -> Envelope | None:
    for folder in (INBOX, QUARANTINE):
        for uid, mail in mailbox.fetch(
            folder, mailbox.find(folder, envelope_message_id(arrival.envelope_id))
        ).items():
            envelope = envelope_in_mail(mail.raw)
            if envelope and envelope.envelope_id == arrival.envelope_id:
                arrival.folder, arrival.uid = folder, uid
                arrival.uid_validity = mailbox.uidvalidity(folder)
                arrival.save(update_fields=["folder", "uid", "uid_validity"])
                return envelope
    return None


def _settle(
    account: Account,
    mailbox: Mailbox,
    arrival: Arrival,
    envelope: bytes,
    opened: OpenedEnvelope,
    verdicts: dict[tuple[str, str], trust.Verdict],
    now: datetime,
) -> None:
    if opened.message is None:
        _keep_aside(mailbox, arrival, _why_not_opened(account, opened.error), envelope, now)
        return
    message = opened.message
    verdict = verdicts[(message.sender_did, message.sender_fingerprint)]
    if verdict.trust == Message.Trust.REFUSED:
        _keep_aside(mailbox, arrival, verdict.code, envelope, now)
        return
    if message.ephemeral:
        # Signals (protocol §5: calls, typing) are dropped; none is acted on.
        _note_opened(arrival, None, now)
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
            groups.apply(row)
            _acknowledge(row, message, now)
        _note_opened(arrival, row, now)
    if unchecked:
        trust.check_again(row)
    _tell(account, row, created)
    if kept_aside_before:
        events.publish(account.pk, "kept-aside")


def _tell(account: Account, row: Message, created: bool) -> None:
    """Open pages hear of what they show, and browsers are woken for what is in the list: nothing of what was
    declined, or of whom is blocked."""
    conversation = row.conversation
    standing = conversation.standing
    if standing == Conversation.Standing.DECLINED or row.aside or conversation.blocked:
        return
    if standing == Conversation.Standing.ACCEPTED:
        if created and conversation_settings.notifies(row):
            notices.something_came(account.pk)
        events.conversation_changed(account.pk, conversation.conversation_id, row.message_id)
        return
    events.publish(account.pk, "conversations")
    if created:
        queues.give(queues.LOOK_INTO_REQUESTS, account.pk)


def _acknowledge(row: Message, message: OpenedMessage, now: datetime) -> None:
    """Take a receipt for what it says; of what has a place of its own, have its sender told."""
    if message.receipt is not None:
        receipts.apply(row, message.receipt)
    if message.copies_wanted:
        another_copy.give(row, message.copies_wanted, now=now)
    if message.render_kinds:
        acknowledging.note_opened(row, now=now, chance=random.random())  # noqa: S311 (no secret)


def _note_opened(arrival: Arrival, row: Message | None, now: datetime) -> None:
    """Unless another worker, whose hold on the mailbox had run out, is further with it already."""
    Arrival.objects.filter(pk=arrival.pk).exclude(state=Arrival.State.DONE).update(
        message=row,
        state=Arrival.State.OPENED,
        reason="",
        attempts=F("attempts") + 1,
        updated_at=now,
    )


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


def _finish_opened(account: Account, mailbox: Mailbox, now: datetime, end: float) -> bool:
    """Archive what was opened, then take the originals out of the mailbox; whether there is more at the
    end of the time."""
    rows = Arrival.objects.filter(account=account, state=Arrival.State.OPENED).order_by("pk")
    rows = rows.select_related("message__conversation", "message__account")
    last = 0
    while opened := list(rows.filter(pk__gt=last)[:BATCH]):
        last = opened[-1].pk
        archive.archive(
            list({row.message.pk: row.message for row in opened if row.message}.values()), now=now
        )
        for folder in (INBOX, QUARANTINE):
            here = [arrival for arrival in opened if arrival.folder == folder]
            if here:
                validity = mailbox.uidvalidity(folder)
                mailbox.expunge(folder, [each.uid for each in here if each.uid_validity == validity])
                Arrival.objects.filter(pk__in=[arrival.pk for arrival in here]).update(
                    state=Arrival.State.DONE
                )
        if time.monotonic() > end:
            return rows.filter(pk__gt=last).exists()
    return False


def _keep_aside(
    mailbox: Mailbox, arrival: Arrival, reason: str, envelope: bytes | None, now: datetime
) -> None:
    """Set an arrival aside with its reason, its envelope in the Quarantine folder. The copy there is durable
    before the original goes, and is found there if the worker dies before it could note so."""
    if arrival.folder == INBOX and envelope:
        original, name = arrival.uid, envelope_message_id(arrival.envelope_id)
        if not mailbox.find(QUARANTINE, name):
            copy = mailbox.append(QUARANTINE, mail_with_envelope(envelope))
            mailbox.expunge(QUARANTINE, [uid for uid in mailbox.find(QUARANTINE, name) if uid < copy.uid])
        mailbox.expunge(INBOX, [original])
        arrival.folder, arrival.uid = QUARANTINE, max(mailbox.find(QUARANTINE, name))
        arrival.uid_validity = mailbox.uidvalidity(QUARANTINE)
    # Another worker, whose hold on the mailbox had run out, may be further with it already.
    Arrival.objects.filter(pk=arrival.pk, state=Arrival.State.WAITING).update(
        state=Arrival.State.KEPT_ASIDE,
        reason=reason,
        folder=arrival.folder,
        uid=arrival.uid,
        uid_validity=arrival.uid_validity,
        attempts=F("attempts") + 1,
        updated_at=now,
    )
    events.publish(arrival.account_id, "kept-aside")
