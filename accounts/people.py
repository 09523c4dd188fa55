"""Looking somebody up before writing to them: who they are, and how a message would reach them."""

from dataclasses import dataclass
from typing import Literal

from accounts import identities, peers, profiles, routes
from accounts.peers import PeerDevice, PeerError

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

    @property
    def name(self) -> str:
        return self.display_name or self.handle


def look_up(text: str) -> Person:
    """The person behind a typed handle or DID. Raises identities.IdentityError when there is none."""
    identity = identities.resolve(text)
    profile = profiles.profile_of(identity.did)
    name = profile.display_name or identity.handle
    try:
        devices = peers.devices_of(identity.did) or peers.devices_of(identity.did, fresh=True)
        reachability, reason = _reachability(name, devices, bool(routes.routes_for(identity.did)))
    except PeerError as error:
        devices, reachability, reason = [], "unreachable", str(error)
    return Person(
        did=identity.did,
        handle=identity.handle,
        display_name=profile.display_name,
        has_avatar=profile.avatar_url is not None,
        reachability=reachability,
        device_count=len(devices),
        reason=reason,
    )


def _reachability(name: str, devices: list[PeerDevice], has_route: bool) -> tuple[Reachability, str]:
    if not devices:
        return "unreachable", f"{name} has no device yet that can receive sealed messages."
    if not has_route:
        return "unreachable", f"{name} does not say where messages can be handed over."
    if any(device.prekey is None for device in devices):
        return "sender-visible", "Sealed, but mail servers on the way can see that it comes from you."
    return "sealed", "Sealed both ways: nobody on the way sees what it says, or who wrote it."
