"""One target in a process of its own: first its seeds, then hypothesis, then libFuzzer.

python -m tests.fuzzing.child NAME --examples N (--runs N | --seconds N) [--seed N] [--corpus DIR]
                               [--artifacts DIR]
python -m tests.fuzzing.child NAME --coverage DIR

Ends with 0 when nothing was found. Everything that a decoder raises is a finding, and so is an input that
takes more than SECONDS of this thread's time, or GROWTH_BYTES more memory than the process had before.
"""

import argparse
import faulthandler
import importlib
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzzing.catalogue import CATALOGUE, Entry
from tests.fuzzing.edits import edited_json, inputs
from tests.fuzzing.target import NotJson, Target

PACKAGES = ["accounts", "crypto_agent", "outbound", "webmail"]
#: The most that one input may take; the machine of a test may be busy, so it is time of the thread alone.
SECONDS = 2.0
#: The most that a process may take, from an input that hangs, or of memory, beyond what it had to begin with.
HANG_SECONDS = 20
GROWTH_BYTES = 50 * 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]


class TooSlow(Exception):
    """An input took too long."""


class TooMuchMemory(Exception):
    """An input took too much memory, or many of them together did."""


class NotReached(Exception):
    """None of a target's seeds comes to a module that it is there for."""


class Bounded:
    """A target's function, held to time and memory."""

    def __init__(self, target: Target) -> None:
        self._decode = target.decode
        self._most = sys.maxsize
        self._status = os.open("/proc/self/status", os.O_RDONLY)

    def begin(self) -> None:
        """Takes the memory of now as what the process has to begin with."""
        with suppress(OSError):
            # Forgets the most that there ever was (proc(5)).
            Path("/proc/self/clear_refs").write_bytes(b"5")
        self._most = self._peak() + GROWTH_BYTES

    def __call__(self, data: bytes) -> None:
        started = time.thread_time()
        try:
            self._decode(data)
        except NotJson:
            return
        spent = time.thread_time() - started
        if spent > SECONDS:
            raise TooSlow(f"{spent:.1f} s for {len(data)} bytes")
        peak = self._peak()
        if peak > self._most:
            raise TooMuchMemory(f"{(peak - self._most + GROWTH_BYTES) >> 20} MiB more than in the beginning")

    def _peak(self) -> int:
        """The most bytes that this process ever had in memory (VmHWM of proc(5))."""
        status = os.pread(self._status, 4096, 0)
        return int(status.partition(b"VmHWM:")[2].split(maxsplit=1)[0]) * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How long to fuzz, and from where on."""
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--runs", type=int, default=-1)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--artifacts", type=Path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing.child")
    parser.add_argument("name", choices=sorted(CATALOGUE))
    add_arguments(parser)
    parser.add_argument("--coverage", type=Path)
    options = parser.parse_args()
    entry = CATALOGUE[options.name]
    if options.coverage:
        print(json.dumps(covered(entry, options.coverage)))  # noqa: T201
        return
    fuzz(entry, options)


def fuzz(entry: Entry, options: argparse.Namespace) -> None:
    """Loads a target and fuzzes it; libFuzzer ends the process."""
    fuzz_loaded(entry, load_instrumented(entry), options)


def load_instrumented(entry: Entry) -> Target:
    """The target, with counters in the code that it comes to."""
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        return load(entry)


def fuzz_loaded(entry: Entry, target: Target, options: argparse.Namespace) -> None:
    """All three, one after the other; libFuzzer ends the process."""
    import atheris

    seeds = list(target.seeds())
    bounded = Bounded(target)
    entered = modules_entered(bounded, seeds)
    if missed := set(entry.decoders) - entered:
        raise NotReached(f"{entry.name} comes to no function of {', '.join(sorted(missed))}")
    bounded.begin()
    if options.examples:
        try_with_hypothesis(bounded, target, seeds, entry.longest, options.examples, options.seed)
    with tempfile.TemporaryDirectory() as directory:
        corpus = options.corpus or Path(directory)
        corpus.mkdir(parents=True, exist_ok=True)
        for number, good in enumerate(seeds):
            (corpus / f"seed-{number}").write_bytes(good[: entry.longest])
        words = Path(directory) / "words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        arguments = [
            sys.argv[0],
            f"-runs={options.runs}",
            f"-max_total_time={options.seconds}",
            f"-seed={options.seed}",
            f"-timeout={HANG_SECONDS}",
            "-rss_limit_mb=0",
            f"-max_len={entry.longest}",
            "-len_control=20",
            "-print_final_stats=1",
            f"-artifact_prefix={options.artifacts or directory}/",
            *([f"-dict={words}"] if target.words else []),
            str(corpus),
        ]
        mutator = _json_mutator if target.is_json else None
        bounded.begin()
        atheris.Setup(arguments, bounded, custom_mutator=mutator)
        atheris.Fuzz()


def load(entry: Entry) -> Target:
    """The target, in its Django project where it needs one, with tables in the database."""
    if entry.settings:
        _set_up(entry.settings)
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    assert isinstance(found, Target)
    return found


@cache
def _set_up(project: str) -> None:
    """Once for all targets of a process."""
    os.environ["DJANGO_SETTINGS_MODULE"] = project
    import django
    from django.core.management import call_command

    django.setup()
    logging.disable()
    call_command("migrate", run_syncdb=True, verbosity=0)


def modules_entered(bounded: Bounded, seeds: Iterable[bytes]) -> set[str]:
    """The modules of which the seeds called a function."""
    files: set[str] = set()

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)

    sys.setprofile(profile)
    try:
        for good in seeds:
            bounded(good)
    finally:
        sys.setprofile(None)
    return {_module_of(Path(file)) for file in files if file.startswith(f"{ROOT}/")}


def covered(entry: Entry, corpus: Path) -> dict[str, tuple[int, int]]:
    """For each module: how many lines of its functions the seeds and a corpus reach, and of how many."""
    target = load(entry)
    files = {_file_of(module): module for module in entry.decoders}
    reached: dict[str, set[int]] = {file: set() for file in files}

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        lines = reached.get(frame.f_code.co_filename)
        if lines is None:
            return None
        if event == "line":
            lines.add(frame.f_lineno)
        return trace

    bounded = Bounded(target)
    sys.settrace(trace)
    try:
        for data in (*target.seeds(), *(path.read_bytes() for path in sorted(corpus.iterdir()))):
            bounded(data)
    finally:
        sys.settrace(None)
    figures = {}
    for file, module in files.items():
        lines = _lines_in_functions(compile(Path(file).read_text(), file, "exec"))
        figures[module] = (len(reached[file] & lines), len(lines))
    return figures


def try_with_hypothesis(
    bounded: Bounded, target: Target, seeds: list[bytes], longest: int, examples: int, number: int
) -> None:
    """Tries what hypothesis makes of the seeds; with the same ``number`` always the same."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(seeds, longest, is_json=target.is_json))
    def attempt(data: bytes) -> None:
        # libFuzzer has its own; this one ends a process that hangs inside a C function as well.
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        # What hypothesis itself remembers of its inputs is not the decoder's.
        bounded.begin()
        try:
            bounded(data)
        finally:
            faulthandler.cancel_dump_traceback_later()

    attempt()


def _json_mutator(data: bytes, most: int, seed: int) -> bytes:
    import atheris

    rng = random.Random(seed)
    changed = edited_json(data, rng) if rng.random() < 0.7 else None
    if changed is None or len(changed) > most:
        return bytes(atheris.Mutate(data, most))
    return changed


def _escaped(word: bytes) -> str:
    """A word as libFuzzer's dictionaries have it."""
    return "".join(f"\\x{octet:02x}" for octet in word)


def _module_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def _file_of(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return str(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


def _lines_in_functions(code: CodeType, *, inside: bool = False) -> set[int]:
    own = {line for _, _, line in code.co_lines() if line} if inside else set()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            is_class = not inside and "<" not in constant.co_name and not constant.co_flags & 0x02
            own |= _lines_in_functions(constant, inside=not is_class)
    return own - ({code.co_firstlineno} if inside else set())


if __name__ == "__main__":
    main()
