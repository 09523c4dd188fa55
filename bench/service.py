"""The same work through a running agent: gunicorn, HTTP, tokens, lexicons and the audit log included."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench import agent, memory
from bench.figures import interleaved, limit_line, rate_line
from bench.people import ALICE, CAROL, composed, enrolled, envelopes_for, now, targets_elsewhere
from crypto_agent import opening, sealing

BATCH = 100
ROUNDS = 15
MOST_MEGABYTES = 150


def figures(directory: Path) -> Iterator[str]:
    """A batch is one message sealed for a hundred devices, and a hundred envelopes opened."""
    enrolled(ALICE, "alice.test")
    envelopes = envelopes_for(enrolled(CAROL, "carol.test"), ALICE, BATCH)
    targets = targets_elsewhere(BATCH)
    content = composed(ALICE, list(dict.fromkeys(target.did for target in targets))).content

    with agent.served(directory) as (url, running):
        worker = agent.client(url, "worker")

        def through_the_service() -> None:
            assert len(worker.seal(ALICE, content, targets).copies) == BATCH
            assert all(opened.message for opened in worker.open(CAROL, envelopes))

        def in_this_process() -> None:
            assert len(sealing.seal(ALICE, content, targets, now(), os.urandom).copies) == BATCH
            assert all(item.message for item in opening.open_envelopes(CAROL, envelopes, now(), os.urandom))

        medians = interleaved(through_the_service, in_this_process, ROUNDS, time.perf_counter)
        yield rate_line(f"service/{BATCH}", 2 * BATCH, medians)
        yield limit_line("memory/service", "megabytes", memory.megabytes(running.pid), MOST_MEGABYTES)
        worker.close()
