"""Edits of good inputs: as bytes, as JSON trees, and stretched to where slow decoders show."""

import json
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**53,
    10**30,
    1.5,
    "",
    "\x00",
    "\ud800",
    "\u202e",
    "https://[",
    "9" * 400,
    "9999-12-31T23:59:59+14:00",
    "0001-01-01T00:00:00-14:00",
    {"$bytes": "AA"},
    {"$link": "b"},
    [],
    {},
    [[]],
)


def edited_tree(value: Any, rng: random.Random) -> Any:
    """``value`` with one part of it changed, doubled or taken away."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        choice = rng.random()
        if choice < 0.1:
            return {key: member for key, member in value.items() if key != name}
        if choice < 0.15:
            return {**value, rng.choice(("", "$type", "did", "\ud800", name * 2)): value[name]}
        return {**value, name: edited_tree(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        index = rng.randrange(len(value))
        choice = rng.random()
        if choice < 0.1:
            return value[:index] + value[index + 1 :]
        if choice < 0.2:
            return value + [value[index]] * rng.choice((1, 30))
        return [*value[:index], edited_tree(value[index], rng), *value[index + 1 :]]
    if isinstance(value, str) and value and rng.random() < 0.5:
        at = rng.randrange(len(value))
        return value[:at] + rng.choice(("", "A", ":", "%", "\x00", "é", value[at:])) + value[at + 1 :]
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.5:
        return value + rng.choice((-1, 1, 1000, -(10**12), 10**15))
    return rng.choice(ODD_VALUES)


def edited_json(data: bytes, rng: random.Random) -> bytes | None:
    """JSON text with one part of it changed; None for what is no JSON."""
    try:
        return json.dumps(edited_tree(json.loads(data), rng), separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return None


@st.composite
def edited(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A seed with up to four of its pieces replaced by others or by anything."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        other, at = draw(st.sampled_from(seeds)), draw(st.integers(0, 4096))
        piece = draw(st.binary(max_size=6) | st.just(other[at % (len(other) + 1) :][:40]))
        data = data[:start] + piece + data[end:]
    return data


@st.composite
def stretched(draw: st.DrawFn, seeds: Sequence[bytes], longest: int) -> bytes:
    """A seed one of whose pieces is repeated until it has as many bytes as an input may have."""
    data = draw(st.sampled_from(seeds))
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 12)))
    piece = draw(st.just(data[start:end]) | st.binary(min_size=1, max_size=4)) or b" "
    times = max(1, (longest - len(data)) // len(piece))
    return (data[:start] + piece * times + data[start:])[:longest]


def inputs(seeds: Sequence[bytes], longest: int, *, is_json: bool) -> st.SearchStrategy[bytes]:
    """What hypothesis tries."""
    strategies = [st.binary(max_size=100), edited(seeds), stretched(seeds, longest)]
    if is_json:
        randoms = st.integers(0, 2**32).map(random.Random)
        trees = st.tuples(st.sampled_from(seeds), randoms).map(lambda pair: edited_json(*pair) or b"")
        strategies += [trees, trees]
    return st.one_of(strategies).map(lambda data: data[:longest])
