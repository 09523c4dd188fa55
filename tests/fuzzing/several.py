"""Several targets of one Django project, one after the other, which is loaded once for all of them.

python -m tests.fuzzing.several DIRECTORY NAME … --examples N --runs N

Each is fuzzed in a process of its own, forked from this one. What it says is in DIRECTORY/NAME, and then how
it ended in DIRECTORY/NAME.status: 0 when nothing was found.
"""

import argparse
import os
import sys
import traceback
from pathlib import Path

from tests.fuzzing.catalogue import CATALOGUE, Entry
from tests.fuzzing.child import add_arguments, fuzz_loaded, load_instrumented
from tests.fuzzing.target import Target


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing.several")
    parser.add_argument("directory", type=Path)
    parser.add_argument("names", nargs="+", metavar="NAME")
    add_arguments(parser)
    options = parser.parse_args()
    entries = [CATALOGUE[name] for name in options.names]
    assert len({entry.settings for entry in entries}) == 1
    for entry, target in [(entry, load_instrumented(entry)) for entry in entries]:
        status = options.directory / f"{entry.name}.status"
        status.write_text(str(_status_of_fuzzing(entry, target, options)))


def _status_of_fuzzing(entry: Entry, target: Target, options: argparse.Namespace) -> int:
    child = os.fork()
    if not child:
        _fuzz_here(entry, target, options)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _fuzz_here(entry: Entry, target: Target, options: argparse.Namespace) -> None:
    """Ends this process."""
    try:
        output = os.open(options.directory / entry.name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, sys.stdout.fileno())
        os.dup2(output, sys.stderr.fileno())
        fuzz_loaded(entry, target, options)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Only libFuzzer ends a run in which nothing was found.
        os._exit(1)


if __name__ == "__main__":
    main()
