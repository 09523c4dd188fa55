"""The lines that the benchmarks print, and what they measure by."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.figures import Medians, interleaved, limit_line, rate_line
from bench.memory import megabytes


def test_the_work_and_its_ceiling_run_in_turn_and_the_first_round_does_not_count() -> None:
    ran: list[str] = []
    seconds: Iterator[float] = iter([0, 0, 0, 2, 2, 3, 10, 14, 14, 15, 20, 26, 26, 29])
    measured = interleaved(
        lambda: ran.append("work"), lambda: ran.append("ceiling"), 3, lambda: next(seconds)
    )
    assert ran == ["work", "ceiling"] * 4
    assert measured == Medians(work_s=4, ceiling_s=1)
    assert measured.ratio == 0.25


def test_a_line_says_rate_ceiling_and_ratio() -> None:
    assert json.loads(rate_line("seal/10", 10, Medians(work_s=0.5, ceiling_s=0.25))) == {
        "name": "seal/10",
        "rate": 20,
        "ceiling": 40,
        "ratio": 0.5,
    }
    assert json.loads(limit_line("memory/service", "megabytes", 75, 150)) == {
        "name": "memory/service",
        "megabytes": 75,
        "ceiling": 150,
        "ratio": 0.5,
    }


def test_memory_counts_the_processes_below() -> None:
    block = "b = bytearray(64_000_000); b[::4096] = bytes([1]) * len(b[::4096])"
    child = f"{block}; print('ready', flush=True); input()"
    before = megabytes(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert megabytes(os.getpid()) - before == pytest.approx(64, abs=16)
        process.stdin.write("\n")
