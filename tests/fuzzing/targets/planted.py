"""Decoders with faults, to see that each kind of fault is found."""

import time

from tests.fuzzing.target import target

_KEPT: list[bytes] = []


@target(lambda: (b"seed",))
def crashing_target(data: bytes) -> None:
    """Raises for one input in four billion, which only the way to it can lead to."""
    if data[:1] == b"F":  # noqa: SIM102
        if data[1:2] == b"U":  # noqa: SIM102
            if data[2:3] == b"Z":  # noqa: SIM102
                if data[3:4] == b"Z":
                    raise KeyError("planted")


@target(lambda: (b"seed" * 10,))
def quadratic_target(data: bytes) -> None:
    """Takes time by the square of its input's length, on a fast machine as much as on a slow one."""
    until = time.thread_time() + 4e-9 * len(data) ** 2
    while time.thread_time() < until:
        pass


@target(lambda: (b"seed",))
def hanging_target(data: bytes) -> None:
    """Never ends."""
    while data.startswith(b"s") and data != b"seed":
        pass


@target(lambda: (b"seed",))
def growing_target(data: bytes) -> None:
    """Takes a little more memory with each input, and gives none of it back."""
    _KEPT.append(bytes(1 << 18) + data)


@target(lambda: (b"seed",))
def greedy_target(data: bytes) -> None:
    """Takes a lot of memory once."""
    if len(data) > 6:
        len(b"x" * (80 << 20))


@target(lambda: (b"seed",))
def misnamed_target(data: bytes) -> None:
    """Does not come near the decoder that it names."""
