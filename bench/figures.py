"""What a benchmark measures, and the line that says so."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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


def seconds_line(name: str, medians: Medians) -> str:
    """A line for the seconds that one piece of work takes, and its ceiling does."""
    return _line(name, seconds=medians.work_s, ceiling=medians.ceiling_s, ratio=round(medians.ratio, 3))


def limit_line(name: str, unit: str, value: float, ceiling: float) -> str:
    """A line for a value that may not be above its ceiling; the ratio is the share of it that is used."""
    return _line(name, **{unit: value}, ceiling=ceiling, ratio=round(value / ceiling, 3))


def work_line(
    name: str,
    work_s: float,
    floor_s: float,
    wanted_s: float | None = None,
    wanted_ratio: float | None = None,
) -> str:
    """A line for one long piece of work, measured once beside its floor; ``ratio`` is how many times as long
    it took."""
    numbers = {"seconds": work_s, "floor_seconds": floor_s, "ratio": work_s / floor_s}
    line: dict[str, Any] = {
        "name": name,
        **{key: float(f"{number:.4g}") for key, number in numbers.items()},
    }
    wanted = {"seconds": wanted_s, "ratio": wanted_ratio}
    if wanted := {key: number for key, number in wanted.items() if number is not None}:
        line["wanted"] = wanted
    return json.dumps(line)


def latency_line(
    name: str,
    work_s: Sequence[float],
    floor_s: Sequence[float],
    wanted_ms: int,
    wanted_ratio: float | None,
    *,
    database: str,
    clients: int,
) -> str:
    """A line for what requests take, and their floor; ``ratio`` is that of the medians."""
    numbers = {}
    for prefix, taken in (("", work_s), ("floor_", floor_s)):
        numbers[f"{prefix}median_ms"] = statistics.median(taken) * 1000
        numbers[f"{prefix}p95_ms"] = statistics.quantiles(taken, n=20)[-1] * 1000
    return json.dumps(
        {
            "name": name,
            "database": database,
            "clients": clients,
            "requests": len(work_s),
            **{key: float(f"{number:.4g}") for key, number in numbers.items()},
            "ratio": round(numbers["median_ms"] / numbers["floor_median_ms"], 2),
            "ratio_p95": round(numbers["p95_ms"] / numbers["floor_p95_ms"], 2),
            "wanted": {"p95_ms": wanted_ms, **({} if wanted_ratio is None else {"ratio": wanted_ratio})},
        }
    )


def _line(name: str, **numbers: float) -> str:
    return json.dumps(
        {"name": name, **{key: float(f"{number:.4g}") for key, number in numbers.items()}}, sort_keys=False
    )
