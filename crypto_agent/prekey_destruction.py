"""Destroys prekeys whose time is over on the agent's own clock, also where nobody calls it.

A prekey's secrets must die for what was sealed to them to stay secret, so that is not left to callers.
"""

import logging

from django.conf import settings
from django.utils import timezone

from crypto_agent import own_clock, write_ahead_log
from crypto_agent.devices import destroy_expired_prekeys

log = logging.getLogger(__name__)


def begin() -> None:
    """Does it now and from then on every PREKEY_DESTRUCTION_SECONDS, in a thread."""
    own_clock.repeat(
        _Destroying().round, settings.PREKEY_DESTRUCTION_SECONDS, "expired prekeys were not destroyed"
    )


class _Destroying:
    """One round after the other."""

    def __init__(self) -> None:
        # What was destroyed may still lie in the write-ahead log, also from a former life of this process.
        self._lies_in_log = True

    def round(self) -> None:
        if count := destroy_expired_prekeys(timezone.now()):
            log.info("destroyed %d prekeys whose time was over", count)
            self._lies_in_log = True
        if self._lies_in_log:
            self._lies_in_log = not write_ahead_log.empty()
