"""How many devices people were last seen with, without asking anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from accounts.models import PeerCertificate


def device_counts(dids: Iterable[str], now: datetime) -> dict[str, int]:
    """The number of devices that messages would be sealed to, by DID; 0 for somebody not heard of yet."""
    rows = PeerCertificate.objects.filter(
        peer__did__in=set(dids), present=True, problem="", not_before__lte=now
    ).select_related("peer")
    return Counter(row.peer.did for row in rows if row.state_at(now) is PeerCertificate.State.ACTIVE)
