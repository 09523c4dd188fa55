"""Looking somebody up before writing to them: who they are, and how a message would reach them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Literal

from django.db import connections
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import identities, lookups, peers, profiles, routes
from accounts.models import Peer
from accounts.peers import PeerDevice, PeerError

#: How many people are asked for at once for one page.
AT_ONCE = 8

Reachability = Literal["sealed", "sender-visible", "unreachable"]


@dataclass(frozen=True)
class Person:
    """``reachability``: "sealed" hides the sender from the way, "sender-visible" does not for every device.

    ``reason`` is a sentence for the one who wants to write.
    """

    did: str
    handle: str
    display_name: str
    has_avatar: bool
    reachability: Reachability
    device_count: int
    reason: str
    #: Whether nothing but the DID is known of them.
    never_known: bool = False

    @property
    def name(self) -> str:
        return self.display_name or self.handle


def look_up(text: str) -> Person:
    """The person behind a typed handle or DID. Raises identities.IdentityError when there is none."""
    identity = identities.resolve(text)
    profile = profiles.profile_of(identity.did)
    handle = identity.handle_after(profile.handle)
    name = profile.display_name or handle
    try:
        devices = peers.devices_of(identity.did) or peers.devices_of(identity.did, fresh=True)
        reachability, reason = _reachability(name, devices, bool(routes.routes_for(identity.did)))
    except PeerError as error:
        devices, reachability, reason = [], "unreachable", str(error)
    return Person(
        did=identity.did,
        handle=handle,
        display_name=profile.display_name,
        has_avatar=profile.avatar_url is not None,
        reachability=reachability,
        device_count=len(devices),
        reason=reason,
    )


def look_up_all(dids: Sequence[str], *, seconds: float) -> list[Person]:
    """The people behind DIDs, in order, asked for side by side within so many seconds.

    Who cannot be asked in that time is as last known, and unreachable; who was never known goes by the DID,
    as ``never_known``.
    """
    due = [did for did in dids if not is_known(did)]
    with lookups.within(seconds):
        found: dict[str, Person] = {}
        if len(due) > 1:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                contexts = [(copy_context(), did) for did in due]
                asked = [pool.submit(context.run, _in_thread, did) for context, did in contexts]
                found = {did: each.result() for did, each in zip(due, asked, strict=True)}
        return [found[did] if did in found else _known_or_found(did) for did in dids]


def as_last_known(dids: Sequence[str], reason: str) -> list[Person]:
    """The people behind DIDs, in order, as far as they are known here; unreachable for that reason, as nobody
    is asked."""
    peers_known = {peer.did: peer for peer in Peer.objects.filter(did__in=dids)}
    return [_without_asking(did, peers_known.get(did), reason) for did in dids]


def is_known(did: str) -> bool:
    """Whether nobody need be asked about a DID, for what was read of it within a day."""
    since = timezone.now() - peers.MAX_AGE
    return Peer.objects.filter(did=did, checked_at__gt=since, profile_checked_at__gt=since).exists()


def _in_thread(did: str) -> Person:
    try:
        return _known_or_found(did)
    finally:
        connections.close_all()


def _known_or_found(did: str) -> Person:
    try:
        return look_up(did)
    except identities.IdentityError as error:
        peer = Peer.objects.filter(did=did).first()
        return _without_asking(did, peer, str(error))


def _without_asking(did: str, peer: Peer | None, reason: str) -> Person:
    if peer is None:
        return Person(did, did, "", False, "unreachable", 0, reason, never_known=True)
    return Person(did, peer.handle, peer.display_name, bool(peer.avatar), "unreachable", 0, reason)


def _reachability(name: str, devices: list[PeerDevice], has_route: bool) -> tuple[Reachability, str]:
    if not devices:
        return "unreachable", _("%(name)s has no device yet that can receive sealed messages.") % {
            "name": name
        }
    if not has_route:
        return "unreachable", _("%(name)s does not say where messages can be handed over.") % {"name": name}
    if any(device.prekey is None for device in devices):
        return "sender-visible", _("Sealed, but mail servers on the way can see that it comes from you.")
    return "sealed", _("Sealed both ways: nobody on the way sees what it says, or who wrote it.")
