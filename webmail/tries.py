"""How often, and for how long, it is tried to carry what others' servers do not take yet."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

#: After this the sender is told that it did not arrive.
GIVE_UP_AFTER = timedelta(days=5)
#: After this nothing comes back any more of what the installation's own mail server took to carry it on: what
#: deploy/postfix/main.cf has it try for (maximal_queue_lifetime), and a day for its report.
MAY_COME_BACK = timedelta(days=6)


def gap_after(attempts: int) -> timedelta:
    """How long to wait after the given number of tries (1 or more)."""
    gaps = settings.DELIVERY_GAPS_SECONDS
    return timedelta(seconds=gaps[min(max(attempts, 1), len(gaps)) - 1])
