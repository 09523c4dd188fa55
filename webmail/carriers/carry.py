"""Carrying envelopes by whatever a route says."""

from collections.abc import Sequence
from typing import Protocol

from . import https, smtp
from .outcomes import Outcome, Refused


class Destination(Protocol):
    """What a carrier needs of a route: accounts.routes.Route is one.

    `kind` is "https" (target is the URL to post to) or "smtp" (target is `smtp://host[:port]`, or a
    domain whose MX is to be looked up; address is the recipient's mail address).
    """

    @property
    def kind(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def address(self) -> str | None: ...


def carry(route: Destination, envelopes: Sequence[bytes], *, bounce_token: str) -> list[Outcome]:
    """Hand envelopes to the other side, over one connection; one outcome for each, in the same order.

    `bounce_token` is at most 16 octets and comes back with a report that names this delivery (see
    bounces.py); nothing else that leaves names the sender. Raises nothing for what the network does.
    """
    if route.kind == "https":
        return https.deliver(route, envelopes)
    if route.kind == "smtp":
        return smtp.deliver(route, envelopes, bounce_token=bounce_token)
    return [Refused("unsupported-route", f"no carrier for {route.kind}") for _ in envelopes]
