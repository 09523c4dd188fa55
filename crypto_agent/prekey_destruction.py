"""Destroys prekeys whose time is over on the agent's own clock, also where nobody calls it.

A prekey's secrets must die for what was sealed to them to stay secret, so that is not left to callers. Nor
may they, or any key that was destroyed, lie in the write-ahead log for longer.
"""

import logging

from django.conf import settings
from django.utils import timezone

from crypto_agent import own_clock, write_ahead_log
from crypto_agent.devices import destroy_expired_prekeys

log = logging.getLogger(__name__)


def begin() -> None:
    """Does it now and from then on every PREKEY_DESTRUCTION_SECONDS, in a thread."""
    own_clock.repeat(_round, settings.PREKEY_DESTRUCTION_SECONDS, "expired prekeys were not destroyed")


def _round() -> None:
    if count := destroy_expired_prekeys(timezone.now()):
        log.info("destroyed %d prekeys whose time was over", count)
    # Whoever destroyed a key tried to empty it, but a reader may have held that back.
    write_ahead_log.empty()
