"""Carriers: how envelopes leave for another installation."""

from .carry import Destination, carry
from .outcomes import Accepted, Deferred, Outcome, Refused, Uncertain

__all__ = ["Accepted", "Deferred", "Destination", "Outcome", "Refused", "Uncertain", "carry"]
