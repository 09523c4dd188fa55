"""Whether an account can be sure of somebody's keys: what was compared, and what was published since.

A comparison holds for the devices that were there. Nothing is sealed for another one of somebody compared
until the account's owner has looked (see key_gate.py).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.db import transaction
from django.utils import timezone

from accounts import lookups, own_entries, peers
from accounts.models import Account, PeerCertificate
from accounts.prepared_rows import PreparedRows
from webmail import held_messages, safety_numbers
from webmail.models import Message, Verification
from webmail.safety_numbers import PersonKeys

log = logging.getLogger(__name__)

#: What a page that compares shows was read at the servers of both this lately.
FRESH_FOR = timedelta(seconds=30)
#: How long the account's own server is waited for, after theirs.
OWN_SECONDS = 3.0

_BY_DID = PreparedRows(
    lambda account, dids: Verification.objects.filter(account=account, did__in=dids).order_by("at", "pk")
)

Outcome, How = Verification.Outcome, Verification.How


class Standing(StrEnum):
    """How sure an account can be of somebody's keys."""

    #: Never compared, or used since without comparing.
    NOT_COMPARED = "not-compared"
    COMPARED = "compared"
    #: Compared, and there are devices now that were not part of it.
    CHANGED = "changed"
    #: Compared, and the numbers were not the same.
    DIFFERED = "differed"

    @property
    def holds(self) -> bool:
        """Whether nothing is sealed for this person before somebody has looked."""
        return self in (Standing.CHANGED, Standing.DIFFERED)


class ChangedMeanwhile(Exception):
    """The keys are others than those that were shown; nothing was noted."""

    code = "changed-meanwhile"


@dataclass(frozen=True)
class KeyState:
    """``used``: the fingerprints of the devices that messages are sealed for; ``compared``: of those that
    were compared, none where the numbers differed."""

    standing: Standing
    newest: Verification | None
    used: frozenset[str] = frozenset()
    compared: frozenset[str] = frozenset()

    @property
    def new(self) -> frozenset[str]:
        return self.used - self.compared

    @property
    def gone(self) -> frozenset[str]:
        return self.compared - self.used


@dataclass(frozen=True)
class Comparison:
    """What two people have before them when they compare. ``shown`` names exactly these keys."""

    own: PersonKeys
    theirs: PersonKeys

    @property
    def number(self) -> tuple[str, ...]:
        return safety_numbers.number_of(self.own, self.theirs)

    @property
    def code(self) -> str:
        return safety_numbers.code_of(self.own, self.theirs)

    @property
    def shown(self) -> str:
        return shown_mark(self.theirs) + shown_mark(self.own)


def shown_mark(keys: PersonKeys) -> str:
    """What a form carries to say which keys its page showed."""
    return safety_numbers.digest_of(keys).hex()


def comparison(account: Account, did: str, *, max_age: timedelta = FRESH_FOR) -> Comparison:
    """The keys of both as they are now; of the account itself, as they were last read if they cannot be soon.

    Raises peers.PeerError if theirs cannot be read.
    """
    theirs = frozenset(device.fingerprint for device in peers.devices_of(did, max_age=max_age))
    _read_own(account, max_age)
    own = own_entries.own_fingerprints(account)
    return Comparison(PersonKeys(account.did, own), PersonKeys(did, theirs))


def conclude(
    account: Account, did: str, outcome: Verification.Outcome, how: Verification.How, shown: str
) -> Verification:
    """Notes what the owner found about the keys that a page showed.

    ``shown`` is Comparison.shown of that page. Raises ChangedMeanwhile if the keys are others by now, and
    peers.PeerError.
    """
    current = comparison(account, did)
    if current.shown != shown:
        raise ChangedMeanwhile
    return _keep(account, current, outcome, how)


def check_code(account: Account, did: str, code: str) -> frozenset[str]:
    """Holds a scanned or pasted code to the keys of both, and notes the outcome.

    Returns the DIDs of those about whom it says something else; where that is the account alone, nothing is
    noted of the other. Raises safety_numbers.CodeError for one that is not about these two, and
    peers.PeerError.
    """
    current = comparison(account, did)
    differing = safety_numbers.differing(code, current.own, current.theirs)
    if differing != {account.did}:
        _keep(account, current, Outcome.DIFFERED if differing else Outcome.MATCHED, How.CODE)
    return differing


def accept(account: Account, did: str, fingerprints: Collection[str]) -> Verification:
    """Uses somebody's present keys without comparing. They count as not compared from then on.

    ``fingerprints`` are those that the owner was shown. Raises ChangedMeanwhile if there are others by now.
    """
    used = usable_fingerprints([did]).get(did, frozenset())
    if used != frozenset(fingerprints):
        raise ChangedMeanwhile
    own = PersonKeys(account.did, own_entries.own_fingerprints(account))
    return _keep(account, Comparison(own, PersonKeys(did, used)), Outcome.ACCEPTED, How.NONE)


def states_of(account: Account, dids: Iterable[str]) -> dict[str, KeyState]:
    """How sure the account can be of each of them, by what is known here. Asks nobody; two queries."""
    wanted = {did for did in dids if did != account.did}
    newest = newest_of(account, wanted)
    used = usable_fingerprints(did for did, row in newest.items() if row.outcome != Outcome.ACCEPTED)
    return {did: _state(newest.get(did), used.get(did, frozenset())) for did in wanted}


def state_of(account: Account, did: str) -> KeyState:
    """How sure the account can be of one person."""
    return states_of(account, [did]).get(did) or KeyState(Standing.NOT_COMPARED, None)


def newest_of(account: Account, dids: Iterable[str]) -> dict[str, Verification]:
    """What the owner last said of each, where they said anything."""
    return {row.did: row for row in _BY_DID.rows(account.pk, list(set(dids)))}


def is_held(newest: Verification | None, fingerprints: Collection[str]) -> bool:
    """Whether nothing may be sealed for these devices of somebody before the owner has looked."""
    return _state(newest, frozenset(fingerprints)).standing.holds


def is_of_new_device(newest: Verification | None, message: Message) -> bool:
    """Whether a received message was signed by a device that was no part of what its owner last said.

    What was here before the comparison is left out: a device may have been given up since.
    """
    if message.direction != Message.Direction.IN or newest is None or newest.outcome == Outcome.ACCEPTED:
        return False
    came_before = message.trust_checked_at is not None and message.trust_checked_at <= newest.at
    compared = newest.outcome == Outcome.MATCHED and message.sender_fingerprint in newest.fingerprints
    return not came_before and not compared


def usable_fingerprints(dids: Iterable[str]) -> dict[str, frozenset[str]]:
    """The devices that messages to each would be sealed for, by what is known here."""
    wanted = set(dids)
    if not wanted:
        return {}
    now = timezone.now()
    rows = PeerCertificate.objects.filter(peer__did__in=wanted, present=True).select_related("peer")
    found: dict[str, set[str]] = {}
    for row in rows:
        if peers.is_usable(row, now):
            found.setdefault(row.peer.did, set()).add(row.fingerprint)
    return {did: frozenset(fingerprints) for did, fingerprints in found.items()}


def _read_own(account: Account, max_age: timedelta) -> None:
    try:
        with lookups.within(OWN_SECONDS):
            peers.known_peer(account.did, max_age=max_age)
    except peers.PeerError as error:
        log.info("own devices could not be read: %s", error.code)
    else:
        own_entries.note_devices(account)


def _keep(
    account: Account, current: Comparison, outcome: Verification.Outcome, how: Verification.How
) -> Verification:
    with transaction.atomic():
        row = Verification.objects.create(
            account=account,
            did=current.theirs.did,
            outcome=outcome,
            how=how,
            fingerprints=sorted(current.theirs.fingerprints),
            own_fingerprints=sorted(current.own.fingerprints),
        )
        if outcome != Outcome.DIFFERED:
            held_messages.release(account, current.theirs.did)
    return row


def _state(newest: Verification | None, used: frozenset[str]) -> KeyState:
    if newest is None or newest.outcome == Outcome.ACCEPTED:
        return KeyState(Standing.NOT_COMPARED, newest, used)
    if newest.outcome == Outcome.DIFFERED:
        return KeyState(Standing.DIFFERED, newest, used)
    compared = frozenset(newest.fingerprints)
    standing = Standing.COMPARED if used <= compared else Standing.CHANGED
    return KeyState(standing, newest, used, compared)
