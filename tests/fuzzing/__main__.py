"""Fuzzes for as long as you like.

python -m tests.fuzzing [NAME …] --seconds N     each target, or those that are named, one after the other
                                                  for so long, going on from where the last run came to

One line for each: how many inputs were tried, and what of the decoders' lines they reach. What was found is
shown, and the input kept in .cache/fuzzing/<name>/found. Ends with 1 if anything was.
"""

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.environment import RUN
from tests.fuzzing.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".cache" / "fuzzing"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CATALOGUE))
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    unknown = set(options.names) - set(CATALOGUE)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    try:
        clean = [run(name, options.seconds) for name in options.names or CATALOGUE]
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(RUN.directory, ignore_errors=True)
    return 0 if all(clean) else 1


def run(name: str, seconds: int) -> bool:
    """Fuzzes one target and says what came of it; False if something was found."""
    corpus, found = KEPT / name / "corpus", KEPT / name / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    started, seed = time.monotonic(), random.SystemRandom().randrange(1, 2**31)
    fuzzing = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzzing.child", name),
            *("--seconds", str(seconds), "--examples", str(50 * seconds)),
            *("--seed", str(seed)),
            *("--corpus", str(corpus), "--artifacts", str(found)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    took = time.monotonic() - started
    if fuzzing.returncode:
        say(f"{name}: found something after {took:.0f} s, with --seed {seed}")
        say(telling(fuzzing.stdout + fuzzing.stderr))
        return False
    say(f"{name}: {_runs(fuzzing.stderr)} inputs in {took:.0f} s; {_reached(name, corpus)}")
    return True


def telling(output: str) -> str:
    """What a run said, without its progress."""
    lines = (line for line in output.splitlines() if not re.match(r"#\d+\s|INFO: |Bad Request|0x", line))
    return "\n".join(list(lines)[-60:])


def _runs(output: str) -> str:
    return next(
        (line.split()[-1] for line in output.splitlines() if "number_of_executed_units" in line), "no"
    )


def _reached(name: str, corpus: Path) -> str:
    replay = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing.child", name, "--coverage", str(corpus)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, tuple[int, int]] = json.loads(replay.stdout.splitlines()[-1])
    return ", ".join(
        f"{module} {100 * hit // max(1, lines)} % of {lines} lines"
        for module, (hit, lines) in figures.items()
    )


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
