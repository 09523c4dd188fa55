"""The crypto agent's WSGI application with its clock moved, for an agent that lives years later."""

import os
from datetime import datetime, timedelta

from django.utils import timezone

_DAYS = timedelta(days=float(os.environ["WAXWING_TEST_CLOCK_DAYS"]))
_now = timezone.now


def _moved() -> datetime:
    return _now() + _DAYS


timezone.now = _moved

from crypto_agent.wsgi import application  # noqa: E402, F401 (after the clock was moved)
