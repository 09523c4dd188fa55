"""How much memory a process and those that it started take, from what Linux says of them."""

from pathlib import Path

_PROCESSES = Path("/proc")


def megabytes(pid: int) -> float:
    """Of the process and all below it together; what they share is counted once."""
    return sum(_proportional_kilobytes(each) for each in (pid, *_below(pid))) / 1024


def _below(pid: int) -> list[int]:
    children = [
        int(child)
        for listed in (_PROCESSES / str(pid) / "task").glob("*/children")
        for child in listed.read_text().split()
    ]
    return [*children, *(each for child in children for each in _below(child))]


def _proportional_kilobytes(pid: int) -> int:
    for line in (_PROCESSES / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError("the system does not say how much memory a process takes")
