"""What the commands before an installation's first start leave behind, made once and copied after that."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from demo.installation import python_process
from demo.processes import ProcessSpec

#: Which setting says where each command makes the tables. The third command makes the static files, which lie
#: in one place for all installations of this clone.
_DATABASES = {"database": "WAXWING_DATABASE_URL", "agent-database": "WAXWING_AGENT_DATABASE_URL"}
#: Names the folder of results to processes that run tests beside each other.
SHARED = "TESTS_PREPARED"


class Preparation:
    """A command, which has nothing more to do where it was run for another installation of this process, or
    of those beside it.

    New databases in SQLite are all alike. What is there already, or in PostgreSQL, is left to the command.
    """

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        url = spec.environment[_DATABASES[spec.name]] if spec.name in _DATABASES else ""
        self._new_file: Path | None = None
        if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
            self._new_file = Path(url.removeprefix("sqlite:///"))

    def is_copied(self) -> bool:
        """Whether it was done already; the new database is a copy then."""
        if not self._kept.exists():
            return False
        if self.spec.name not in _DATABASES:
            return True
        if self._new_file is None:
            return False
        shutil.copyfile(self._kept, self._new_file)
        self._new_file.chmod(0o600)
        return True

    def keep(self) -> None:
        """After the command: its result, for the next installations."""
        if self.spec.name not in _DATABASES:
            self._kept.touch()
        elif self._new_file is not None:
            unfinished = self._kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(self._new_file, unfinished)
            unfinished.rename(self._kept)

    @property
    def _kept(self) -> Path:
        return Path(os.environ.get(SHARED) or _results().name) / self.spec.name


@cache
def _results() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="waxwing-prepared-")


def make_agent_tables(environment: Mapping[str, str]) -> None:
    """As `migrate` makes them in the database of an agent with this environment.

    Raises CalledProcessError, with what the command said.
    """
    spec = python_process(
        "agent-database",
        ("django", "migrate", "--verbosity", "0"),
        environment=environment,
        is_ready=lambda: False,
    )
    preparation = Preparation(spec)
    if preparation.is_copied():
        return
    subprocess.run(spec.command, cwd=spec.directory, env=dict(environment), check=True, capture_output=True)
    preparation.keep()
