"""Splitting what is too long for one call."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

#: The agent takes no longer batch (see its lexicons); longer ones are sent in several calls.
BATCH_ITEMS = 100
BATCH_BYTES = 6 * 1024 * 1024

Item = TypeVar("Item")


def batches(items: Sequence[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Splits a sequence into runs that one call may carry, by number and by bytes."""
    batch: list[Item] = []
    batch_bytes = 0
    for item in items:
        size = size_of(item)
        if batch and (len(batch) == BATCH_ITEMS or batch_bytes + size > BATCH_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(item)
        batch_bytes += size
    if batch:
        yield batch
