"""How many things an account may have done with its keys in an hour, by who asks and for what."""

import re
from collections.abc import Iterable, Mapping

#: Who asks: the web process, the worker, and all apps of an account together.
CALLERS = ("web", "worker", "app")

#: For what stands in none of the lists below.
OTHER = 10_000
#: High enough for a worker that takes in ten thousand envelopes at once, or restores a hundred thousand
#: messages from the archive; low enough that nobody empties a large account in an hour.
DEFAULTS: Mapping[str, int] = {
    "worker.open": 50_000,
    "worker.archive": 100_000,
    "worker.readArchive": 200_000,
    "worker.read": 20_000,
    "worker.seal": 200_000,
    "worker.indexMessages": 200_000,
    "worker.forgetMessages": 200_000,
    "worker.sealAgain": 200_000,
    "web.read": 50_000,
    "web.compose": 5_000,
    "web.search": 3_000,
    "web.exportAccount": 20,
    "web.beginReadableExport": 20,
    "web.readForExport": 200_000,
    "app.open": 10_000,
    "app.seal": 50_000,
    "app.sign": 5_000,
    "app.attest": 5_000,
    "other": OTHER,
}

_SETTING = re.compile(r"(other|[a-z]+\.[a-zA-Z]+)=([0-9]{1,9})")


class HourlyLimits:
    """The limits by caller and purpose; ``settings`` such as ``web.read=2000`` or ``other=500`` go first."""

    def __init__(self, settings: Iterable[str], purposes: Mapping[str, frozenset[str]]) -> None:
        """``purposes`` names what each of CALLERS may be limited for.

        Raises ValueError for a setting that limits nothing.
        """
        self._limits = dict(DEFAULTS)
        for setting in settings:
            found = _SETTING.fullmatch(setting.strip())
            if found is None or int(found[2]) < 1:
                raise ValueError(f"{setting!r} is not of the form caller.purpose=number")
            caller, _, purpose = found[1].partition(".")
            if caller != "other" and purpose not in purposes.get(caller, ()):
                raise ValueError(f"{found[1]!r} is not a caller and a purpose")
            self._limits[found[1]] = int(found[2])

    def of(self, caller: str, purpose: str) -> int:
        """How many things ``caller`` may ask for in an hour, for one account and ``purpose``."""
        return self._limits.get(f"{caller}.{purpose}", self._limits["other"])
