"""Carrying to somebody whose own inbox is here: through the door that takes in what comes by HTTPS, without
the way out and back in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from accounts import records
from accounts.routes import Route
from webmail import ingress
from webmail.carriers import Outcome
from webmail.carriers.outcomes import outcome_of_http
from webmail.ingress_http import STATUS


def is_at(ways: Sequence[Route], did: str) -> bool:
    """Whether any of these ways to a DID is this installation's own inbox for it."""
    (own,) = records.own_endpoints(did, settings.PUBLIC_URL, mail_domain=None)
    return any(way.kind == "https" and way.target == own for way in ways)


def hand_in(did: str, envelopes: Sequence[bytes], *, now: datetime) -> list[Outcome]:
    """One outcome for each envelope, the same as its answer by HTTPS would be; accepted ones are durable."""
    return [_hand_in(did, envelope, now) for envelope in envelopes]


def _hand_in(did: str, envelope: bytes, now: datetime) -> Outcome:
    try:
        ingress.accept(did, envelope, now=now)
    except ingress.IngressRefusal as refusal:
        wait = None if refusal.retry_after is None else str(refusal.retry_after)
        return outcome_of_http(STATUS[refusal.code], str(refusal), retry_after=wait, now=now)
    return outcome_of_http(200, "OK", now=now)
