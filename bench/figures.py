"""What a benchmark measures, and the line that says so."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True)
class Medians:
    """Seconds that a piece of work and its ceiling took, each the median of the rounds."""

    work_s: float
    ceiling_s: float

    @property
    def ratio(self) -> float:
        """The share of the ceiling's rate that the work reaches."""
        return self.ceiling_s / self.work_s


def interleaved(
    work: Callable[[], object], ceiling: Callable[[], object], rounds: int, clock: Clock = time.thread_time
) -> Medians:
    """Runs both in turn, so that whatever else the machine does slows both alike.

    The first round of each warms caches and is not counted. By default ``clock`` counts the processor's
    time in this thread, which is the time on one core however busy the machine is.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    for counted in range(rounds + 1):
        for run, taken in zip((work, ceiling), seconds, strict=True):
            started = clock()
            run()
            if counted:
                taken.append(clock() - started)
    return Medians(statistics.median(seconds[0]), statistics.median(seconds[1]))


def rate_line(name: str, items: int, medians: Medians) -> str:
    """A line for items a second."""
    return _line(
        name, rate=items / medians.work_s, ceiling=items / medians.ceiling_s, ratio=round(medians.ratio, 3)
    )


def limit_line(name: str, unit: str, value: float, ceiling: float) -> str:
    """A line for a value that may not be above its ceiling; the ratio is the share of it that is used."""
    return _line(name, **{unit: value}, ceiling=ceiling, ratio=round(value / ceiling, 3))


def _line(name: str, **numbers: float) -> str:
    return json.dumps(
        {"name": name, **{key: float(f"{number:.4g}") for key, number in numbers.items()}}, sort_keys=False
    )
