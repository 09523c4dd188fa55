"""Prints one line of JSON for each figure: its name, its rate or seconds, its ceiling, and their ratio.

python -m bench             all of them
python -m bench service     those of one of the modules library and service
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import agent

MODULES = ("library", "service")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("modules", nargs="*", metavar="module", help=" or ".join(MODULES))
    chosen = parser.parse_args().modules or MODULES
    with tempfile.TemporaryDirectory(prefix="waxwing-bench-") as directory:
        agent.set_up(Path(directory))
        for line in _figures(Path(directory), chosen):
            print(line, flush=True)  # noqa: T201
    return 0


def _figures(directory: Path, modules: Sequence[str]) -> Iterator[str]:
    # These can be imported only once Django is set up.
    from bench import library, service

    if "library" in modules:
        yield from library.figures()
    if "service" in modules:
        yield from service.figures(directory)


if __name__ == "__main__":
    sys.exit(main())
