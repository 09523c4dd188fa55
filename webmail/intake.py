"""Receiving: from a mail in the INBOX to a message in a conversation, or to a reason why not.

Each step may be repeated: arrivals are known by envelope id, messages by message id. A mail leaves the
INBOX only when what it carried rests in the archive, or was moved to the Quarantine folder.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db.models import F
from django.utils import timezone

from accounts import peers
from accounts.agent import agent
from accounts.models import Account
from crypto_agent.client import AgentError, OpenedEnvelope, OpenedMessage
from webmail import archive, arrivals, events, mailbox_room, trust, waiting
from webmail.mailbox import INBOX, QUARANTINE, Mailbox, open_mailbox
from webmail.mailbox.copies import keep_one_of_each
from webmail.mailbox.envelope_mail import (
    envelope_in_mail,
    envelope_message_id,
    mail_with_envelope,
    read_envelope,
)
from webmail.models import Arrival, Message
from webmail.taking_in import Taken, take_in

log = logging.getLogger(__name__)

#: As many envelopes as one call to the agent takes.
BATCH = 100
#: A message that names more people than this is set aside: each set of people is a conversation of its own,
#: which has a row for each of them. What is written here names outgoing.MAX_RECIPIENTS at most.
MOST_PEOPLE = 256


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
    """Each batch is shown before the one after the next is fetched; the archive comes last."""
    began = time.monotonic()
    end, signers_until = began + seconds, began + trust.PATIENCE
    with open_mailbox(account.did) as mailbox:
        mailbox_room.look(account, mailbox, now=now)
        incoming = _Incoming(account, mailbox, end)
        if waiting.is_waiting(account.pk, now):
            incoming.note_the_rest()
            return _Pulled(incoming.new, more=False)
        try:
            for opening in _opened_ahead(account, mailbox, incoming):
                _settle(account, mailbox, opening, now, signers_until - time.monotonic())
        except AgentError:
            # Ordinary mail needs no agent: all there is becomes known first.
            incoming.note_the_rest()
            raise
        more = incoming.stopped or _finish_opened(account, mailbox, now, end)
        return _Pulled(incoming.new, more)


class _Incoming:
    """What waits to be opened, batch by batch: what was left from before, and what is new as it becomes
    known, whose envelopes are at hand. ``stopped`` says that the time was over before the end."""

    def __init__(self, account: Account, mailbox: Mailbox, end: float) -> None:
        self._account = account
        self._noting = arrivals.note(account, mailbox, at_once=BATCH)
        self._end = end
        self._last = 0
        self.new = 0
        self.stopped = False

    def __iter__(self) -> Iterator[tuple[list[Arrival], Mapping[str, bytes]]]:
        for noted in self._noting:
            self.new += noted.mails
            for batch in self._waiting():
                yield batch, noted.envelopes
            if time.monotonic() > self._end:
                self.stopped = True
                return
        for batch in self._waiting():
            yield batch, {}

    def note_the_rest(self) -> None:
        self.new += sum(noted.mails for noted in self._noting)

    def _waiting(self) -> Iterator[list[Arrival]]:
        rows = Arrival.objects.filter(account=self._account, state=Arrival.State.WAITING).order_by("pk")
        while batch := list(rows.filter(pk__gt=self._last)[:BATCH]):
            self._last = batch[-1].pk
            yield batch


@dataclass(frozen=True)
class _Opening:
    """A batch of arrivals, the envelopes of those that are there, and what the agent says of these."""

    arrivals: Sequence[Arrival]
    envelopes: Mapping[int, bytes]
    opened: Future[list[OpenedEnvelope]]

    @property
    def present(self) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.pk in self.envelopes]


def _opened_ahead(
    account: Account,
    mailbox: Mailbox,
    batches: Iterable[tuple[Sequence[Arrival], Mapping[str, bytes]]],
) -> Iterator[_Opening]:
    """The agent opens a batch while the one before it is stored."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        before: _Opening | None = None
        for batch, at_hand in batches:
            envelopes = _envelopes(mailbox, batch, at_hand)
            here = [envelopes[arrival.pk] for arrival in batch if arrival.pk in envelopes]
            opened = thread.submit(agent().open, account.did, here)
            if before is not None:
                yield before
            before = _Opening(batch, envelopes, opened)
        if before is not None:
            yield before


@dataclass(frozen=True)
class _Aside:
    """What is set aside, with its reason; without an envelope where that is gone."""

    arrival: Arrival
    reason: str
    envelope: bytes | None


def _settle(
    account: Account, mailbox: Mailbox, opening: _Opening, now: datetime, seconds: float = trust.PATIENCE
) -> None:
    """Store what was opened, and set the rest aside; afterwards none of it is WAITING any more. Signers'
    servers are asked for so many seconds at most; what that leaves unchecked is given to other workers.

    Raises AgentError.
    """
    found = opening.envelopes
    opened = opening.opened.result()
    checked = (each.message for each in opened if each.message and not _names_too_many(each.message))
    verdicts = trust.check_all(account, checked, now=now, seconds=seconds)
    aside = [_Aside(arrival, "gone", None) for arrival in opening.arrivals if arrival.pk not in found]
    taken: list[Taken] = []
    not_opened = _NotOpened(account)
    for arrival, each in zip(opening.present, opened, strict=True):
        envelope, message = found[arrival.pk], each.message
        if message is None:
            aside.append(_Aside(arrival, not_opened.reason(each.error, envelope), envelope))
            continue
        if _names_too_many(message):
            aside.append(_Aside(arrival, "too-many-people", envelope))
            continue
        verdict = verdicts[(message.sender_did, message.sender_fingerprint)]
        if verdict.trust == Message.Trust.REFUSED:
            aside.append(_Aside(arrival, verdict.code, envelope))
        else:
            taken.append(Taken(arrival, message, verdict))
    # Like what trips the agent's reader.
    aside += [
        _Aside(one.arrival, "reader-failed", found[one.arrival.pk]) for one in take_in(account, taken, now)
    ]
    _keep_aside(account, mailbox, aside, now)


def _names_too_many(message: OpenedMessage) -> bool:
    return not message.ephemeral and len(set(message.recipients)) > MOST_PEOPLE


def _envelopes(
    mailbox: Mailbox, arrivals: Sequence[Arrival], at_hand: Mapping[str, bytes]
) -> dict[int, bytes]:
    """The envelopes by arrival. One that is not where it was noted is looked for by its Message-ID: a worker
    may have died between moving it and noting so, or the folder was renumbered."""
    found = {
        arrival.pk: at_hand[arrival.envelope_id] for arrival in arrivals if arrival.envelope_id in at_hand
    }
    for folder in (INBOX, QUARANTINE):
        here = {
            arrival.uid: arrival
            for arrival in arrivals
            if arrival.folder == folder and arrival.pk not in found
        }
        for uid, mail in (mailbox.fetch(folder, list(here)) if here else {}).items():
            envelope = envelope_in_mail(mail.raw)
            if envelope and envelope.envelope_id == here[uid].envelope_id:
                found[here[uid].pk] = envelope.data
    return found | _looked_for(mailbox, [arrival for arrival in arrivals if arrival.pk not in found])


def _looked_for(mailbox: Mailbox, arrivals: Sequence[Arrival]) -> dict[int, bytes]:
    """The same of those that were found by their Message-IDs; where they are is noted."""
    missing = {arrival.envelope_id: arrival for arrival in arrivals}
    moved: dict[int, tuple[Arrival, bytes]] = {}
    for folder in (INBOX, QUARANTINE) if missing else ():
        numbers = mailbox.find_all(folder, [envelope_message_id(name) for name in missing])
        uids = [uid for each in numbers.values() for uid in each]
        validity = mailbox.uidvalidity(folder) if uids else 0
        for uid, mail in (mailbox.fetch(folder, uids) if uids else {}).items():
            envelope = envelope_in_mail(mail.raw)
            arrival = missing.pop(envelope.envelope_id, None) if envelope else None
            if envelope and arrival:
                arrival.folder, arrival.uid, arrival.uid_validity = folder, uid, validity
                moved[arrival.pk] = arrival, envelope.data
    Arrival.objects.bulk_update(
        [arrival for arrival, _envelope in moved.values()], ["folder", "uid", "uid_validity"]
    )
    return {pk: envelope for pk, (_arrival, envelope) in moved.items()}


class _NotOpened:
    """Why envelopes were not opened.

    A sender hands the copies for all devices of a person to the same door, and none says whose it is
    (protocol §3): with other devices published, what the agent cannot open is most likely theirs.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def reason(self, error: str | None, envelope: bytes) -> str:
        if error not in (None, "cannot-open"):
            return error or ""
        if not self._has_others:
            return "cannot-open"
        # The one is sealed to a prekey, which is destroyed everywhere soon; the other to the device's key.
        return "for-another-device" if read_envelope(envelope).form == "sealed" else "for-another-device-key"

    @cached_property
    def _has_others(self) -> bool:
        own = set(self._account.devices.values_list("fingerprint", flat=True))
        try:
            return any(device.fingerprint not in own for device in peers.devices_of(self._account.did))
        except peers.PeerError:
            return False


def _finish_opened(account: Account, mailbox: Mailbox, now: datetime, end: float) -> bool:
    """Archive what was opened, then take the originals out of the mailbox; whether there is more at the
    end of the time."""
    rows = Arrival.objects.filter(account=account, state=Arrival.State.OPENED).order_by("pk")
    rows = rows.select_related("message__conversation", "message__account")
    last = 0
    while opened := list(rows.filter(pk__gt=last)[:BATCH]):
        last = opened[-1].pk
        of_batch = {row.message.pk: row.message for row in opened if row.message}
        archive.archive_in(mailbox, list(of_batch.values()), now=now)
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


def _keep_aside(account: Account, mailbox: Mailbox, aside: Sequence[_Aside], now: datetime) -> None:
    """Set arrivals aside with their reasons, their envelopes in the Quarantine folder. The copies there are
    durable before the originals go, and are found there if the worker dies before it could note so."""
    if not aside:
        return
    moved = {
        envelope_message_id(each.arrival.envelope_id): (each.arrival, mail_with_envelope(each.envelope))
        for each in aside
        if each.arrival.folder == INBOX and each.envelope
    }
    if moved:
        uids = keep_one_of_each(mailbox, QUARANTINE, {name: mail for name, (_, mail) in moved.items()})
        mailbox.expunge(INBOX, [arrival.uid for arrival, _mail in moved.values()])
        validity = mailbox.uidvalidity(QUARANTINE)
        for name, (arrival, _mail) in moved.items():
            arrival.folder, arrival.uid, arrival.uid_validity = QUARANTINE, uids[name], validity
    for each in aside:
        each.arrival.state, each.arrival.reason = Arrival.State.KEPT_ASIDE, each.reason
        each.arrival.attempts, each.arrival.updated_at = F("attempts") + 1, now
    # Another worker, whose hold on the mailbox had run out, may be further with it already.
    Arrival.objects.filter(state=Arrival.State.WAITING).bulk_update(
        [each.arrival for each in aside],
        ["state", "reason", "folder", "uid", "uid_validity", "attempts", "updated_at"],
    )
    events.publish(account.pk, "kept-aside")
