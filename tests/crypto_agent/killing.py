"""Work on an agent's database that is killed again and again; every killed run is a process of its own."""

import os
import random
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.crypto_agent.running_agent import ROOT, Agent

KILLS = 50


@contextmanager
def killer(agent: Agent, work: str, *, steps: int = 1, seconds: float = 0.03) -> Iterator[Callable[[], int]]:
    """What it yields has the work of `killed_child` begun once and killed, and answers how far it came.

    Killed is each run up to ``seconds`` after its first step, or after any of as many as ``steps``.
    """
    seed = int(os.environ.get("WAXWING_TEST_SEED") or secrets.randbelow(1 << 32))
    print(f"WAXWING_TEST_SEED={seed}")  # noqa: T201
    dice = random.Random(seed)
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.crypto_agent.killed_child", work],
        cwd=ROOT,
        env={**agent.environment, "WAXWING_LOG_LEVEL": "WARNING"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    stdin, stdout = program.stdin, program.stdout

    def kill() -> int:
        print(dice.randint(1, steps), dice.uniform(0, seconds), file=stdin, flush=True)
        return int(stdout.readline())

    try:
        yield kill
    finally:
        stdin.close()
        stdout.close()
        assert program.wait(30) == 0
