"""When an identity was made, by the log of operations that the directory of did:plc shows to everybody."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta

from accounts import handles, identities, lookups, plc_history, plc_log
from accounts.identities import IdentityError
from accounts.models import Peer, PlcOperation
from accounts.plc_log import PlcLogError

#: How long whoever waits for a page waits for the directory, and how soon it is asked again after it said
#: nothing.
SECONDS = 3.0
ASK_AGAIN = timedelta(hours=1)


def known(dids: Collection[str]) -> dict[str, datetime]:
    """When identities were made, of these DIDs those whose log was read here, in one query; asks nobody."""
    first = PlcOperation.objects.filter(peer__did__in=dids, position=0)
    return dict(first.values_list("peer__did", "created_at"))


def learn(did: str, *, now: datetime) -> None:
    """Reads the log about somebody who was looked up, and keeps it, if it was never read, so that ``known``
    knows them; not where nobody answers in time."""
    if known([did]) or not handles.DID_PLC_PATTERN.fullmatch(did):
        return
    if Peer.objects.filter(did=did, plc_checked_at__gt=now - ASK_AGAIN).exists():
        return
    with suppress(IdentityError), lookups.within(SECONDS):
        plc_history.read(did, now=now)


def made_at(did: str) -> datetime | None:
    """When the first operation of a did:plc was registered; None for other DIDs, whose age nobody knows.

    The log has to hold together; the time in it is the directory's word. Raises
    accounts.identities.IdentityError "network", or "did-not-found" for a log that does not.
    """
    if not handles.DID_PLC_PATTERN.fullmatch(did):
        return None
    try:
        return plc_log.read(identities.plc_log_of(did), did)[0].created_at
    except PlcLogError as error:
        raise IdentityError("did-not-found", f"What the directory says of {did} is broken.") from error
