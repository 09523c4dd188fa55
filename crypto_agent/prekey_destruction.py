"""Destroys prekeys whose time is over on the agent's own clock, also where nobody calls it.

A prekey's secrets must die for what was sealed to them to stay secret, so that is not left to callers.
"""

import logging
import threading
import traceback
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from crypto_agent import write_ahead_log
from crypto_agent.devices import destroy_expired_prekeys

log = logging.getLogger(__name__)


def begin() -> None:
    """Starts the thread that does it, now and from then on every PREKEY_DESTRUCTION_SECONDS."""
    threading.Thread(
        target=_keep_destroying, args=(settings.PREKEY_DESTRUCTION_SECONDS,), daemon=True
    ).start()


def _keep_destroying(every_s: float) -> None:
    pause = threading.Event()
    # What was destroyed may still lie in the write-ahead log, also from a former life of this process.
    lies_in_log = True
    while True:
        try:
            if count := destroy_expired_prekeys(timezone.now()):
                log.info("destroyed %d prekeys whose time was over", count)
                lies_in_log = True
            if lies_in_log:
                lies_in_log = not write_ahead_log.empty()
        except Exception as error:
            # The next round tries again. An error's text could quote a row: only its kind is logged.
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "expired prekeys were not destroyed: %s at %s:%s",
                type(error).__name__,
                Path(place.filename).name,
                place.lineno,
            )
        finally:
            close_old_connections()
        pause.wait(every_s)
