"""Profile pictures, fetched by this installation so that no browser asks a third party, and kept on disk."""

import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.cache import cache

from accounts import identities, profiles, repositories
from accounts.identities import IdentityError
from accounts.models import Peer
from accounts.repositories import RepositoryError

log = logging.getLogger(__name__)

MAX_BYTES = 1_000_000
#: How long a picture that could not be had is not asked for again, in seconds.
RETRY_SECONDS = 600
#: How long a picture stays on disk before it is fetched again.
KEPT_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class Avatar:
    content_type: str
    data: bytes


def avatar_of(did: str) -> Avatar | None:
    """The picture in the profile of a DID, or None when there is none that can be shown."""
    failed_key = f"accounts:no-avatar:{hashlib.sha256(did.encode()).hexdigest()}"
    if cache.get(failed_key):
        return None
    try:
        profiles.profile_of(did)
        cid = Peer.objects.values_list("avatar", flat=True).get(did=did)
        data = _kept_or_fetched(did, cid) if cid else None
    except (IdentityError, RepositoryError, Peer.DoesNotExist):
        data = None
    except OSError as error:
        log.error("pictures can't be kept in %s: %s", _directory(), type(error).__name__)
        data = None
    content_type = image_type(data) if data else None
    if data is None or content_type is None:
        cache.set(failed_key, True, RETRY_SECONDS)
        return None
    return Avatar(content_type, data)


def forget_old(now: float) -> None:
    """Deletes pictures that were fetched more than KEPT_SECONDS before ``now`` (seconds since the epoch)."""
    directory = _directory()
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.stat().st_mtime < now - KEPT_SECONDS:
            path.unlink(missing_ok=True)


def image_type(data: bytes) -> str | None:
    """The media type by the first bytes; None for all but PNG, JPEG and WebP."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _kept_or_fetched(did: str, cid: str) -> bytes | None:
    path = _directory() / hashlib.sha256(f"{did}/{cid}".encode()).hexdigest()
    if path.is_file():
        return path.read_bytes()
    identity = identities.resolve(did)
    data = repositories.get_blob(identity.pds_url, did, cid, max_bytes=MAX_BYTES)
    if data is not None and image_type(data) is not None:
        _write(path, data)
    return data


def _directory() -> Path:
    return Path(settings.DATA_DIR) / "avatars"


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, also when two processes fetch the same picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)
