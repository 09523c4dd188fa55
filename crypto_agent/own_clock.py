"""What the agent does on its own clock, whether anybody calls it or not."""

import logging
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from django.db import close_old_connections

log = logging.getLogger(__name__)


def repeat(work: Callable[[], None], every_s: float, failed: str) -> None:
    """Starts a thread that does ``work`` now and every so many seconds.

    ``failed`` says in the log that it was not done.
    """
    threading.Thread(target=_keep_doing, args=(work, every_s, failed), daemon=True).start()


def _keep_doing(work: Callable[[], None], every_s: float, failed: str) -> None:
    pause = threading.Event()
    while True:
        try:
            work()
        except Exception as error:
            # The next round tries again. An error's text could quote a row: only its kind is logged.
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "%s: %s at %s:%s", failed, type(error).__name__, Path(place.filename).name, place.lineno
            )
        finally:
            close_old_connections()
        pause.wait(every_s)
