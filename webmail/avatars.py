"""Profile pictures, fetched by this installation so that no browser asks a third party, and kept small.

What somebody's server gives is decoded in a process of its own and never kept, nor shown, as it came.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.core.cache import cache

from accounts import identities, lookups, profiles, repositories
from accounts.identities import IdentityError
from accounts.models import Peer
from accounts.repositories import RepositoryError
from webmail.blobs.spool import Spool, SpoolFull
from webmail.images.decoding import NotDecoded, decode_avatar
from webmail.turns import Turns

log = logging.getLogger(__name__)

MEDIA_TYPE = "image/webp"
MAX_BYTES = 1_000_000
#: How long a picture that could not be had is not asked for again, in seconds; and one that found no turn.
RETRY_SECONDS = 600
BUSY_SECONDS = 10
#: How long a picture stays on disk before it is fetched again.
KEPT_SECONDS = 30 * 24 * 3600

#: How long servers are asked for one, and how long a turn at that is waited for.
MOST_SECONDS = 8.0
PATIENCE_SECONDS = 2.0

_SUFFIX = ".webp"
#: In one process: a page full of pictures comes in by and by, and nobody has all threads wait for servers.
_turns = Turns(8, 4)


def kept_avatar_of(did: str, pixels: int) -> bytes | None:
    """As ``avatar_of``, but nobody is asked: None where it is not on disk."""
    cid = Peer.objects.filter(did=did).values_list("avatar", flat=True).first()
    try:
        return _place(did, cid, pixels).read_bytes() if cid else None
    except OSError:
        return None


def avatar_of(did: str, pixels: int, account_pk: int) -> bytes | None:
    """The picture in the profile of a DID, a WebP that is ``pixels`` (of AVATAR_PIXELS) square at most; None
    when there is none that can be shown.

    Their own server may be asked for it, for MOST_SECONDS and for the account with this key, which has a few
    turns at a time. Only where it is known to have a picture: pages show no other.
    """
    failed_key = f"webmail:no-avatar:{hashlib.sha256(did.encode()).hexdigest()}"
    if not Peer.objects.filter(did=did).exclude(avatar="").exists() or cache.get(failed_key):
        return None
    if not _turns.take(account_pk, PATIENCE_SECONDS):
        return kept_avatar_of(did, pixels)
    try:
        with lookups.within(MOST_SECONDS):
            return _asked_for(did, pixels, failed_key)
    finally:
        _turns.give_back(account_pk)


def _asked_for(did: str, pixels: int, failed_key: str) -> bytes | None:
    try:
        profiles.profile_of(did)
        cid = Peer.objects.values_list("avatar", flat=True).get(did=did)
        data = _kept_or_fetched(did, cid, pixels) if cid else None
    except (IdentityError, RepositoryError, Peer.DoesNotExist):
        data = None
    except (NotDecoded, SpoolFull) as error:
        busy = isinstance(error, SpoolFull) or error.code == "busy"
        cache.set(failed_key, True, BUSY_SECONDS if busy else RETRY_SECONDS)
        return None
    except OSError as error:
        log.error("pictures can't be kept in %s: %s", _directory(), type(error).__name__)
        data = None
    if data is None:
        cache.set(failed_key, True, RETRY_SECONDS)
    return data


def forget_old(now: float) -> None:
    """Deletes pictures that were fetched more than KEPT_SECONDS before ``now`` (seconds since the epoch), and
    those that former versions kept as they came."""
    directory = _directory()
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.suffix != _SUFFIX or path.stat().st_mtime < now - KEPT_SECONDS:
            path.unlink(missing_ok=True)


def _kept_or_fetched(did: str, cid: str, pixels: int) -> bytes | None:
    path = _place(did, cid, pixels)
    if path.is_file():
        return path.read_bytes()
    identity = identities.resolve(did)
    data = repositories.get_blob(identity.pds_url, did, cid, max_bytes=MAX_BYTES)
    if data is None:
        return None
    small = _made_small(data)
    for size, picture in small.items():
        _write(_place(did, cid, size), picture)
    return small[pixels]


def _made_small(data: bytes) -> Mapping[int, bytes]:
    with Spool() as picture:
        picture.write(data)
        return decode_avatar(picture)


def _directory() -> Path:
    return Path(settings.DATA_DIR) / "avatars"


def _place(did: str, cid: str, pixels: int) -> Path:
    name = hashlib.sha256(f"{did}/{cid}".encode()).hexdigest()
    return _directory() / f"{name}-{pixels}{_SUFFIX}"


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, also when two processes fetch the same picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=_SUFFIX, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
