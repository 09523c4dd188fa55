"""What somebody's page says of their keys: how sure one can be of them, and what was seen to change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.handles import INVALID_HANDLE
from accounts.models import Account, Peer, PeerCertificate, PeerEvent, PlcOperation
from webmail import comparisons, consent
from webmail.comparisons import KeyState
from webmail.models import Verification

#: Lines of a history on one page, and rows of each kind of the raw details; and so far back pages go.
MOST_LINES = 40
MOST_ROWS = 100
FARTHEST = 10_000

_WORDS: dict[str, str | Promise] = {
    "device-new": gettext_lazy("A new device"),
    "device-back": gettext_lazy("A device is published again"),
    "device-gone": gettext_lazy("A device is not published any more"),
    "device-revoked": gettext_lazy("A device was revoked"),
    "device-broken": gettext_lazy("The record of a device does not hold its key"),
    "renewed": gettext_lazy("A device has a new certificate of the same key"),
    "handle": gettext_lazy("Another name"),
    "server": gettext_lazy("Another server"),
    "log-grew": gettext_lazy("A new entry in the directory of identities"),
    "log-undone": gettext_lazy("An entry in the directory of identities was undone"),
    "log-rewritten": gettext_lazy(
        "The directory of identities was rewritten: an entry that was seen is missing"
    ),
    "matched": gettext_lazy("You compared keys: they match"),
    "differed": gettext_lazy("You compared keys: they differ"),
    "accepted": gettext_lazy("You used their keys without comparing"),
}
#: What a person should look at.
_ALARMING = frozenset({"device-broken", "log-undone", "log-rewritten", "differed"})


@dataclass(frozen=True)
class Line:
    """Something that happened. ``subject`` is a fingerprint, name, server or CID, ``former`` what was there
    before."""

    at: datetime
    words: str
    subject: str = ""
    former: str = ""
    is_fingerprint: bool = False
    alarming: bool = False


@dataclass(frozen=True)
class PersonKeysShown:
    """``may_compare``: whether their server may be asked for what is compared. ``known_since`` is None where
    nothing was read of them yet; ``log_problem`` is a stable code, or empty. ``older_lines`` and
    ``older_rows`` are where the next page begins, 0 where there is none."""

    did: str
    state: KeyState
    may_compare: bool
    #: Of how many devices messages are sealed for, as far as they are known here.
    in_use: int
    lines: list[Line]
    certificates: list[PeerCertificate]
    operations: list[PlcOperation]
    known_since: datetime | None
    log_problem: str
    older_lines: int = 0
    older_rows: int = 0


def keys_of(account: Account, did: str, *, lines_from: int = 0, rows_from: int = 0) -> PersonKeysShown:
    """What is known here of somebody's keys, newest first, without so many of the newest lines and rows. Asks
    nobody."""
    peer = Peer.objects.filter(did=did).first()
    lines_to, rows_to = lines_from + MOST_LINES, rows_from + MOST_ROWS
    events = list(peer.events.all()[: lines_to + 1]) if peer else []
    said = list(Verification.objects.filter(account=account, did=did)[: lines_to + 1])
    lines = [_of_event(event) for event in events] + [_of_verification(row) for row in said]
    lines.sort(key=lambda line: line.at, reverse=True)
    certificates = PeerCertificate.objects.filter(peer=peer).order_by("-first_seen_at", "-pk")
    operations = PlcOperation.objects.filter(peer=peer).order_by("-position")
    found = certificates[rows_from : rows_to + 1], operations[rows_from : rows_to + 1]
    has_older_rows = max(map(len, found)) > MOST_ROWS
    state = comparisons.state_of(account, did)
    return PersonKeysShown(
        did=did,
        state=state,
        may_compare=did != account.did and consent.may_compare(account, did),
        in_use=len(comparisons.usable_fingerprints([did]).get(did, ())),
        lines=lines[lines_from:lines_to],
        certificates=list(found[0])[:MOST_ROWS],
        operations=list(found[1])[:MOST_ROWS],
        known_since=peer.known_since if peer else None,
        log_problem=peer.plc_problem if peer else "",
        older_lines=lines_to if len(lines) > lines_to else 0,
        older_rows=rows_to if has_older_rows else 0,
    )


def _of_event(event: PeerEvent) -> Line:
    if event.kind == PeerEvent.Kind.HANDLE and event.subject == INVALID_HANDLE:
        return Line(event.at, _("A name that does not lead to them any more"), event.former)
    fingerprint = event.kind.startswith("device") or event.kind == PeerEvent.Kind.CERTIFICATE_RENEWED
    former = "" if fingerprint or event.former == INVALID_HANDLE else event.former
    return Line(
        event.at,
        str(_WORDS.get(event.kind, event.kind)),
        event.subject,
        former,
        fingerprint,
        event.kind in _ALARMING,
    )


def _of_verification(row: Verification) -> Line:
    how = {"number": _("By number"), "code": _("By code")}.get(row.how, "")
    return Line(row.at, str(_WORDS[row.outcome]), how, alarming=row.outcome in _ALARMING)
