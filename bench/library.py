"""Sealing and opening in this process, through the agent's own functions and database."""

import os
from collections.abc import Iterator, Sequence

from bench import primitives
from bench.figures import interleaved, rate_line
from bench.people import ALICE, BOB, composed, enrolled, envelopes_for, now, targets_elsewhere
from crypto_agent import opening, sealing
from crypto_agent.atsms.envelope import OVERHEAD_BYTES
from crypto_agent.client_values import Target

DEVICES = (1, 10, 100, 1000)
#: Fewer are sealed several times in a round, so that no round is too short to be measured.
COPIES_A_ROUND = 100
OPENED = 100
ROUNDS = 25


def figures() -> Iterator[str]:
    enrolled(ALICE, "alice.test")
    elsewhere = targets_elsewhere(max(DEVICES))
    for count in DEVICES:
        yield _sealing(elsewhere[:count])
    yield _opening()


def _sealing(targets: Sequence[Target]) -> str:
    count = len(targets)
    content = composed(ALICE, list(dict.fromkeys(target.did for target in targets))).content
    sample = sealing.seal(ALICE, content, targets, now(), os.urandom)
    assert len(sample.copies) == count
    messages = max(1, COPIES_A_ROUND // count)

    def work() -> None:
        sealed_at = now()
        for _ in range(messages):
            sealing.seal(ALICE, content, targets, sealed_at, os.urandom)

    bucket_bytes = len(sample.copies[0].envelope) - OVERHEAD_BYTES
    medians = interleaved(work, primitives.sealing(messages, count, bucket_bytes), ROUNDS)
    return rate_line(f"seal/{count}", messages * count, medians)


def _opening() -> str:
    envelopes = envelopes_for(enrolled(BOB, "bob.test"), ALICE, OPENED)

    def work() -> None:
        opened = opening.open_envelopes(BOB, envelopes, now(), os.urandom)
        assert all(item.message for item in opened)

    medians = interleaved(work, primitives.opening(OPENED, len(envelopes[0]) - OVERHEAD_BYTES), ROUNDS)
    return rate_line("open", OPENED, medians)
