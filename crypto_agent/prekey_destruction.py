"""Destroys prekeys whose time is over on the agent's own clock, also where nobody calls it.

A prekey's secrets must die for what was sealed to them to stay secret, so that is not left to callers. Nor
may they, or any key that was destroyed, lie in the database's files for longer.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from crypto_agent import own_clock, rewritten_tables, write_ahead_log
from crypto_agent.devices import destroy_expired_prekeys
from crypto_agent.models import ClearedFiles, PrekeySecret
from crypto_agent.write_turns import writing

log = logging.getLogger(__name__)

#: What is there for so many rounds after its time is late.
LATE_ROUNDS = 3
#: Of ClearedFiles there is one row.
_ROW = 1


def begin() -> None:
    """Does it now and from then on every PREKEY_DESTRUCTION_SECONDS, in a thread."""
    own_clock.repeat(_round, settings.PREKEY_DESTRUCTION_SECONDS, "expired prekeys were not destroyed")


def late(now: datetime) -> int:
    """How many prekeys are still there though their time was over several rounds ago."""
    return PrekeySecret.objects.filter(destroy_after__lte=now - _grace()).count()


def files_late_since(now: datetime) -> datetime | None:
    """Since when what was destroyed may lie in the database's files, if that is several rounds ago."""
    return ClearedFiles.objects.filter(at__lte=now - _grace()).values_list("at", flat=True).first()


def _grace() -> timedelta:
    return timedelta(seconds=LATE_ROUNDS * settings.PREKEY_DESTRUCTION_SECONDS)


def _round() -> None:
    began_at = timezone.now()
    if count := destroy_expired_prekeys(timezone.now()):
        log.info("destroyed %d prekeys whose time was over", count)
    # Whoever destroyed a key tried to empty it, but a reader may have held that back.
    if all((write_ahead_log.empty(), rewritten_tables.rewrite())):
        with writing():
            ClearedFiles.objects.update_or_create(pk=_ROW, defaults={"at": began_at})
