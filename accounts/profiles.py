"""What people call themselves: the app.bsky.actor.profile record of their own repository, kept for a day."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import identities, key_history, lookups, repositories
from accounts.identities import Identity, IdentityError
from accounts.models import Account, Peer
from accounts.one_line import is_blank, one_line
from accounts.repositories import RepositoryError

logger = logging.getLogger(__name__)

MAX_AGE = timedelta(hours=24)
COLLECTION = "app.bsky.actor.profile"
MAX_NAME_LENGTH = 640
PROFILE_MAX_BYTES = 256 * 1024

_CID = re.compile(r"b[a-z2-7]{20,120}", re.ASCII)


@dataclass(frozen=True)
class Profile:
    """``avatar_url`` is an address of this installation, or None without a picture."""

    did: str
    handle: str
    display_name: str
    avatar_url: str | None

    @property
    def name(self) -> str:
        return self.display_name or self.handle


def profile_of(did: str, *, max_age: timedelta = MAX_AGE) -> Profile:
    """The profile of a DID, asked for again when what is known is older than ``max_age``.

    What cannot be asked stays as it was known. Raises IdentityError only for a DID of which nothing is known.
    """
    peer = Peer.objects.filter(did=did).first()
    if peer is None or _is_stale(peer, max_age):
        try:
            peer = refresh(identities.resolve(did))
        except IdentityError:
            if peer is None:
                raise
    return known_profile(peer)


def known_profile(peer: Peer) -> Profile:
    """The profile as it was last seen; asks nobody."""
    avatar_url = f"{reverse('avatar', args=[peer.did])}?v={peer.avatar[-8:]}" if peer.avatar else None
    return Profile(peer.did, peer.handle, peer.display_name, avatar_url)


def refresh(identity: Identity) -> Peer:
    """Reads the profile at the PDS, or by ``settings.PROFILE_URL`` if that fails, and keeps it."""
    with transaction.atomic():
        peer = key_history.peer_of(identity, now=timezone.now())
    try:
        record = repositories.get_record(identity.pds_url, identity.did, COLLECTION, "self")
        value: Mapping[str, Any] | None = record.value if record else None
    except RepositoryError as error:
        logger.info("no profile of %s: %s", identity.did, error.code)
        value = None
    if value is None:
        value = _public_profile(identity.did)
    peer.profile_checked_at = timezone.now()
    if value is not None:
        peer.display_name = clean_name(value.get("displayName"))
        peer.avatar = _avatar_cid(value)
    peer.save(update_fields=["profile_checked_at", "display_name", "avatar"])
    Account.objects.filter(did=identity.did).update(display_name=peer.display_name)
    return peer


def refresh_if_stale(identity: Identity) -> None:
    """Keeps a peer's name fresh alongside other questions to the same PDS."""
    peer = Peer.objects.filter(did=identity.did).first()
    if peer is None or _is_stale(peer, MAX_AGE):
        refresh(identity)


def clean_name(name: object) -> str:
    """A display name as it may stand on a page: one line, no control or direction characters, bounded.

    Empty for one of which nothing would be seen, so that pages show the handle instead.
    """
    if not isinstance(name, str):
        return ""
    line = one_line(name[:MAX_NAME_LENGTH], MAX_NAME_LENGTH)
    return "" if is_blank(line) else line


def _is_stale(peer: Peer, max_age: timedelta) -> bool:
    return peer.profile_checked_at is None or peer.profile_checked_at <= timezone.now() - max_age


def _avatar_cid(value: Mapping[str, Any]) -> str:
    avatar = value.get("avatar")
    reference = avatar.get("ref") if isinstance(avatar, Mapping) else None
    cid = reference.get("$link") if isinstance(reference, Mapping) else None
    return cid if isinstance(cid, str) and _CID.fullmatch(cid) else ""


def _public_profile(did: str) -> Mapping[str, Any] | None:
    """The profile that a public service knows, when the PDS shows none; its pictures are not used."""
    if not settings.PROFILE_URL:
        return None
    try:
        response = lookups.get(
            f"{settings.PROFILE_URL}/xrpc/app.bsky.actor.getProfile",
            params={"actor": did},
            max_bytes=PROFILE_MAX_BYTES,
        )
        found = response.json() if response.status_code == 200 else None
    except (httpx.HTTPError, ValueError, RecursionError):
        return None
    return {"displayName": found.get("displayName")} if isinstance(found, dict) else None
