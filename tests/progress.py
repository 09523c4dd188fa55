"""How far a run of pytest has come, by what it has written until now."""

import re
from dataclasses import dataclass

#: Has pytest say at the end of each file how many tests are done, in figures.
IN_FIGURES = ("-o", "console_output_style=count")

_COLLECTED = re.compile(r"^collected (\d+) items?", re.MULTILINE)
_DONE = re.compile(r"\[ *(\d+)/\d+\]$", re.MULTILINE)
#: The file, unless its line has become too long and was broken, and a letter for each of its tests.
_UNDER_WAY = re.compile(r"^(?:\S+\.py )?([.FEsxX]*)$")
_FILE = re.compile(r"^(\S+\.py) ", re.MULTILINE)


@dataclass(frozen=True)
class Progress:
    """Both are 0 while the tests are still being collected."""

    done: int
    of: int
    #: The one whose tests run; none before the first.
    file: str = ""

    def __str__(self) -> str:
        return f"{self.done} of {self.of}" + (f" ({self.file})" if self.file else "")


def progress_of(output: str) -> Progress:
    """What pytest, which was told `IN_FIGURES`, has written says of how many tests are done."""
    collected = _COLLECTED.search(output)
    if not collected:
        return Progress(0, 0)
    written = output[collected.end() :]
    before, _newline, last_line = written.rpartition("\n")
    done = _DONE.findall(before)
    under_way = _UNDER_WAY.match(last_line)
    files = _FILE.findall(written)
    return Progress(
        int(done[-1] if done else 0) + len(under_way[1] if under_way else ""),
        int(collected[1]),
        files[-1] if files else "",
    )
