"""What the commands before an installation's first start leave behind, made once and copied after that."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psycopg

from demo.installation import python_process
from demo.processes import ProcessSpec
from tests.services.postgres import new_database
from tests.services.programs import find_postgres

#: Which setting says where each command makes the tables. The third command makes the static files, which lie
#: in one place for all installations of this clone.
_DATABASES = {"database": "WAXWING_DATABASE_URL", "agent-database": "WAXWING_AGENT_DATABASE_URL"}
#: Names the folder of results to processes that run tests beside each other.
SHARED = "TESTS_PREPARED"
_SQLITE = "sqlite:///"


class Preparation:
    """A command, which has nothing more to do where it was run for another installation of this process, or
    of those beside it.

    New databases of the same kind are all alike. What is there already is left to the command.
    """

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        url = spec.environment[_DATABASES[spec.name]] if spec.name in _DATABASES else ""
        self._kept = _kept(spec.name, on_sqlite=url.startswith(_SQLITE))
        self._new_database = url if url and _is_empty(url) else ""

    def is_copied(self) -> bool:
        """Whether it was done already; the new database is a copy then."""
        if not self._kept.exists():
            return False
        if self.spec.name not in _DATABASES:
            return True
        if not self._new_database:
            return False
        _fill(self._new_database, self._kept)
        return True

    def keep(self) -> None:
        """After the command: its result, for the next installations."""
        if self.spec.name not in _DATABASES:
            self._kept.touch()
        elif self._new_database:
            unfinished = self._kept.with_suffix(f".{os.getpid()}")
            _copy(self._new_database, unfinished)
            unfinished.rename(self._kept)


def template_for_tests(server: str, command: str) -> str:
    """The name of a database at a PostgreSQL server with the tables that the command made before, in this
    process or one beside it; empty if it did not."""
    kept = _kept(command, on_sqlite=False)
    if not kept.exists():
        return ""
    name = f"{command}_for_tests"
    _fill(new_database(server, name), kept)
    return name


def _is_empty(url: str) -> bool:
    if url.startswith(_SQLITE):
        return not Path(url.removeprefix(_SQLITE)).exists()
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1")
        return tables.fetchone() is None


def _copy(url: str, file: Path) -> None:
    if url.startswith(_SQLITE):
        shutil.copyfile(url.removeprefix(_SQLITE), file)
    else:
        _postgres("pg_dump", "--format=custom", f"--file={file}", url)


def _fill(url: str, file: Path) -> None:
    """Makes what was copied of another database, in one that is empty."""
    if url.startswith(_SQLITE):
        database = Path(url.removeprefix(_SQLITE))
        shutil.copyfile(file, database)
        database.chmod(0o600)
    else:
        # Who restores them owns them, as who makes them does.
        _postgres(
            "pg_restore",
            "--single-transaction",
            "--no-owner",
            "--no-privileges",
            f"--dbname={url}",
            str(file),
        )


def _postgres(program: str, *arguments: str) -> None:
    programs = find_postgres()
    assert programs
    subprocess.run([programs / program, *arguments], check=True, capture_output=True)


def _kept(command: str, *, on_sqlite: bool) -> Path:
    """Where the result of a command is kept; one that makes no tables leaves a mark alone."""
    directory = Path(os.environ.get(SHARED) or _results().name)
    return directory / (command if on_sqlite or command not in _DATABASES else f"{command}-of-postgres")


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
