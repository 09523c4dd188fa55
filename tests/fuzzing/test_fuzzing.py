"""Every decoder of what others send is fuzzed a little in each run of the tests, within time and memory.

`make fuzz` does the same for longer.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fuzzing.__main__ import telling
from tests.fuzzing.catalogue import CATALOGUE, by_name
from tests.fuzzing.child import Bounded, try_with_hypothesis
from tests.fuzzing.decoders import OWN, decoding_modules
from tests.fuzzing.target import Target

ROOT = Path(__file__).resolve().parents[2]
RUNS, EXAMPLES = 300, 25
DECODED = {module for entry in CATALOGUE.values() for module in entry.decoders}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="atheris has no wheel for this machine"
)


def fuzz(
    name: str, *options: str, catalogue: str = "tests.fuzzing.child"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", catalogue, name, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=150,
        check=False,
    )


@dataclass(frozen=True)
class Run:
    """How a target's run ended, and what it said."""

    status: int
    output: str


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str | None, Future[dict[str, Run]]]]:
    """All targets, always with the same inputs: those of a Django project, by its settings, beside others."""
    by_settings: dict[str | None, list[str]] = {}
    for entry in CATALOGUE.values():
        by_settings.setdefault(entry.settings, []).append(entry.name)
    with ThreadPoolExecutor(2) as pool:
        yield {
            settings: pool.submit(fuzz_several, names, tmp_path_factory.mktemp("fuzzing"))
            for settings, names in by_settings.items()
        }


def fuzz_several(names: list[str], directory: Path) -> dict[str, Run]:
    whole = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzzing.several", str(directory), *names),
            *("--runs", str(RUNS), "--examples", str(EXAMPLES)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=600,
        check=False,
    )
    assert whole.returncode == 0, telling(whole.stdout + whole.stderr)
    return {
        name: Run(
            int((directory / f"{name}.status").read_text()), (directory / name).read_text(errors="replace")
        )
        for name in names
    }


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_input_breaks_the_decoder_or_takes_long_or_much(
    name: str, runs: dict[str | None, Future[dict[str, Run]]]
) -> None:
    run = runs[CATALOGUE[name].settings].result()[name]
    assert run.status == 0, telling(run.output)
    # Its seeds count as well, and may be more.
    done = re.search(r"^Done (\d+) runs", run.output, re.MULTILINE)
    assert done
    assert int(done[1]) >= RUNS


def test_every_module_that_decodes_has_a_target() -> None:
    missing = decoding_modules() - DECODED - set(OWN)
    assert not missing, f"name them in tests/fuzzing/catalogue.py, with a target that reaches them: {missing}"


def test_no_module_is_left_out_that_decodes_what_others_send() -> None:
    assert set(OWN) <= decoding_modules()
    assert not set(OWN) & DECODED


@pytest.mark.parametrize(
    ("name", "examples", "said"),
    [
        ("crashing", 0, "KeyError: 'planted'"),
        ("quadratic", 30, "TooSlow"),
        ("hanging", 0, "ERROR: libFuzzer: timeout"),
        ("hanging", 30, "Timeout (0:00:02)!"),
        ("growing", 0, "TooMuchMemory"),
        ("greedy", 30, "TooMuchMemory"),
    ],
)
def test_a_fault_is_found(name: str, examples: int, said: str) -> None:
    outcome = fuzz(
        name, "--runs", "400000", "--examples", str(examples), catalogue="tests.fuzzing.planted_child"
    )
    assert outcome.returncode != 0
    assert said in outcome.stdout + outcome.stderr


def test_a_target_that_does_not_come_to_its_decoder_is_told() -> None:
    outcome = fuzz("misnamed", "--runs", "1", catalogue="tests.fuzzing.planted_child")
    assert outcome.returncode != 0
    assert "NotReached: misnamed comes to no function of crypto_agent.atsms.cbor" in outcome.stderr


def test_two_targets_have_two_names() -> None:
    (first, *_) = CATALOGUE.items()
    with pytest.raises(ValueError, match=f"two targets are called {first[0]}"):
        by_name(first, first)


def test_inputs_are_the_same_with_the_same_number_alone() -> None:
    def tried(number: int) -> list[bytes]:
        seen: list[bytes] = []
        target = Target(seen.append, lambda: (b"a good input",))
        try_with_hypothesis(Bounded(target), target, [b"a good input"], 64, 30, number)
        return seen

    assert tried(1) == tried(1)
    assert tried(1) != tried(2)
