"""When an identity was made, by the log of operations that the directory of did:plc shows to everybody."""

from __future__ import annotations

from datetime import datetime

from accounts import handles, identities, plc_log
from accounts.identities import IdentityError
from accounts.plc_log import PlcLogError


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
