"""What a target is: a function of any bytes that raises nothing, where to begin, and what to look for."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """``decode`` gets any bytes; whatever it raises is a finding. ``seeds`` are bytes that decode well.

    ``words`` are what the format's inputs are made of. ``is_json`` has inputs edited as trees as well.
    """

    decode: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: Sequence[bytes] = ()
    is_json: bool = False


def target(
    seeds: Callable[[], Iterable[bytes]], *, words: Sequence[bytes] = (), is_json: bool = False
) -> Callable[[Callable[[bytes], None]], Target]:
    """Makes a target of the function that it decorates."""
    return lambda decode: Target(decode, seeds, words, is_json)


def json_bytes(value: Any) -> bytes:
    """A seed that is JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


class NotJson(Exception):
    """An input of a target that takes JSON and does not decode JSON itself."""


def json_of(data: bytes) -> Any:
    """The JSON in an input; raises NotJson."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise NotJson from None
