"""Prints one line of JSON for each figure: its name, what was measured, its ceiling or floor, their ratio.

python -m bench             all of them
python -m bench service     those of one of the modules library, service, search, web, delivery, streams, sync
python -m bench web/search  those of one page
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench import agent, delivery, streams
from bench.first_sync import syncing
from bench.web import pages

#: Of an agent, whose functions are called in this process.
OF_AGENT = ("library", "service", "search")
#: Of whole installations.
OF_INSTALLATIONS: Mapping[str, Callable[[], Iterator[str]]] = {
    "web": pages.figures,
    "delivery": delivery.figures,
    "streams": streams.figures,
    "sync": syncing.figures,
}
MODULES = (*OF_AGENT, *OF_INSTALLATIONS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("modules", nargs="*", metavar="module", help=f"{' or '.join(MODULES)} or web/PAGE")
    chosen = parser.parse_args().modules or MODULES
    for unknown in {name.partition("/")[0] for name in chosen} - set(MODULES):
        parser.error(f"there is no module {unknown}")
    if set(chosen) & set(OF_AGENT):
        with tempfile.TemporaryDirectory(prefix="waxwing-bench-") as directory:
            agent.set_up(Path(directory))
            _say(_figures(Path(directory), chosen))
    for name, figures in OF_INSTALLATIONS.items():
        if name in chosen:
            _say(figures())
    if one_page := frozenset(name for name in chosen if "/" in name):
        _say(pages.figures(one_page))
    return 0


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201


def _figures(directory: Path, modules: Sequence[str]) -> Iterator[str]:
    # These can be imported only once Django is set up.
    from bench import library, search, service

    if "library" in modules:
        yield from library.figures()
    if "service" in modules:
        yield from service.figures(directory)
    if "search" in modules:
        yield from search.figures(directory)


if __name__ == "__main__":
    sys.exit(main())
