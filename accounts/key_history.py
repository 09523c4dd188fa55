"""What changes about somebody between two looks at what they publish, kept as rows to be shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.identities import Identity
from accounts.models import Peer, PeerCertificate, PeerEvent

#: Of one person the newest changes are kept; whoever publishes without end makes no more rows.
MOST_EVENTS = 500

Kind = PeerEvent.Kind


@dataclass(frozen=True)
class Change:
    kind: PeerEvent.Kind
    subject: str
    former: str = ""


def peer_of(identity: Identity, *, now: datetime) -> Peer:
    """The row of somebody whose identity was just resolved, with their name and server, and what changed in
    them kept. Call within a transaction: the row is held until its end."""
    peer, _ = Peer.objects.select_for_update().get_or_create(did=identity.did)
    handle = identity.handle_after(peer.handle)
    keep(peer, _identity_changes(peer, handle, identity.pds_url), now)
    peer.handle, peer.pds_url = handle, identity.pds_url
    peer.save(update_fields=["handle", "pds_url"])
    return peer


def _identity_changes(peer: Peer, handle: str, pds_url: str) -> list[Change]:
    if peer.known_since is None:
        return []
    changes = []
    if peer.handle and handle != peer.handle:
        changes.append(Change(Kind.HANDLE, handle, peer.handle))
    if peer.pds_url and pds_url != peer.pds_url:
        changes.append(Change(Kind.SERVER, pds_url, peer.pds_url))
    return changes


def certificate_changes(
    before: PeerCertificate | None, fingerprint: str, fields: Mapping[str, Any], now: datetime
) -> list[Change]:
    """How one certificate record differs from the row of before; ``fields`` are the row's new columns."""
    after = PeerCertificate(**{"fingerprint": fingerprint, **fields})
    usable = after.state_at(now) is PeerCertificate.State.ACTIVE
    if before is None:
        return [Change(Kind.DEVICE_NEW, fingerprint)] if usable else []
    if not before.present or before.problem or not before.certificate_pem:
        return [Change(Kind.DEVICE_BACK, fingerprint)] if usable else []
    changes = []
    if after.problem:
        changes.append(Change(Kind.DEVICE_BROKEN, fingerprint, after.problem))
    elif after.certificate_pem != before.certificate_pem:
        changes.append(Change(Kind.CERTIFICATE_RENEWED, fingerprint))
    if before.revoked_at is None and after.revoked_at is not None:
        changes.append(Change(Kind.DEVICE_REVOKED, fingerprint))
    elif before.revoked_at is not None and usable:
        changes.append(Change(Kind.DEVICE_BACK, fingerprint))
    return changes


def gone(row: PeerCertificate) -> list[Change]:
    """What it says that a record is not there any more."""
    return [Change(Kind.DEVICE_GONE, row.fingerprint)] if row.present else []


def keep(peer: Peer, changes: Sequence[Change], now: datetime) -> None:
    """Stores changes that were just seen. Call within a transaction that holds the peer's row."""
    PeerEvent.objects.bulk_create(
        PeerEvent(
            peer=peer, kind=change.kind, subject=change.subject[:512], former=change.former[:512], at=now
        )
        for change in changes
    )
    if changes:
        oldest = peer.events.order_by("-at", "-pk").values_list("pk", flat=True)[MOST_EVENTS:]
        PeerEvent.objects.filter(pk__in=list(oldest)).delete()
