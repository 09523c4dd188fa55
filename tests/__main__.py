"""Every check and every test; the last line counts them.

python -m tests             installs missing programs first, where that is possible
python -m tests --checks    the checks alone
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from demo.processes import inherited_environment
from tests.environment import RUN
from tests.services.packages import install_missing
from tests.services.preparations import SHARED, STATIC_FILES

#: What it is, pytest's arguments, and what starts it.
Suite = tuple[str, tuple[str, ...], tuple[str, ...]]

ROOT = Path(__file__).resolve().parent.parent
WEBMAIL = "webmail.settings"
AGENT = "crypto_agent.settings"
NEW_MIGRATIONS = ("django-admin", "makemigrations", "--check", "--dry-run")
#: What the benchmark has done in the webmail's database.
BENCH = (
    "bench/web/filled_index.py",
    "bench/web/bare_pages.py",
    "bench/web/browsers.py",
    "bench/web/new_account.py",
    "bench/first_sync/known_senders.py",
)
#: What is looked at with the webmail's settings.
TYPED = ("accounts", "outbound", "turns", "webmail", "demo", "deploy", "manage.py")

#: What it is, the command, and the settings of the Django project that it looks at.
CHECKS = (
    ("style", ("ruff", "check", "--quiet"), WEBMAIL),
    ("formatting", ("ruff", "format", "--check", "--quiet"), WEBMAIL),
    ("types", ("mypy", *TYPED, *BENCH), WEBMAIL),
    ("the agent's types", ("mypy", "--config-file", "crypto_agent/mypy.ini", "crypto_agent", "bench"), AGENT),
    ("import rules", ("lint-imports",), WEBMAIL),
    ("migrations", NEW_MIGRATIONS, WEBMAIL),
    ("the agent's migrations", NEW_MIGRATIONS, AGENT),
)
BROWSER = "tests/browser"
#: Half of what its tests take.
LONGEST_IN_BROWSER = tuple(
    f"{BROWSER}/test_{name}.py"
    for name in ("every_page", "custody", "pane", "page_weight", "previews", "refused_mail", "conversations")
)
OF_INSTALLATIONS = ("tests/demo", "tests/faults", "tests/installations")
OF_AGENT = "tests/crypto_agent"
OF_PARTS = ("tests", *(f"--ignore={path}" for path in (BROWSER, *OF_INSTALLATIONS, OF_AGENT)))
#: Where all want the processor, those that wait for others go first; the rest fills what they leave, and is
#: not left until the end, when a processor more would have nothing to do.
PATIENT = ("nice", "-n", "5")
#: The suites of a row run one after the other, the rows side by side. A browser, what steers it and the
#: server wait for each other, so that one row of such tests alone takes longer than all others. The agent is
#: a Django project of its own, so its tests are a run of their own.
ROWS: tuple[tuple[Suite, ...], ...] = (
    (("tests of parts", OF_PARTS, PATIENT),),
    (("the longest tests in a browser", LONGEST_IN_BROWSER, ()),),
    (("the other tests in a browser", (BROWSER, *(f"--ignore={path}" for path in LONGEST_IN_BROWSER)), ()),),
    (
        ("tests of whole installations", OF_INSTALLATIONS, ()),
        ("the crypto agent's tests", (OF_AGENT, "--ds=tests.agent_settings"), PATIENT),
    ),
)


@dataclass
class Count:
    """How many tests came out how."""

    passed: int = 0
    failed: int = 0
    left_out: int = 0
    #: Failed beside everything else, and passed with nothing beside them.
    unsteady: list[str] = field(default_factory=list)

    def add(self, report: "ElementTree.ElementTree[ElementTree.Element]") -> None:
        """What a report of pytest, in JUnit's form, counts.

        A test whose end fails as well has two entries there, and is one that failed.
        """
        outcomes: dict[str, set[str]] = {}
        for case in report.iter("testcase"):
            found = {kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None}
            outcomes.setdefault(f"{case.get('classname')}.{case.get('name')}", set()).update(found)
        for outcome in outcomes.values():
            if outcome & {"failure", "error"}:
                self.failed += 1
            elif outcome:
                self.left_out += 1
            else:
                self.passed += 1

    def add_second_run(self, report: "ElementTree.ElementTree[ElementTree.Element]") -> None:
        """Takes what passed in a second run from what failed in the first."""
        steady_now = [
            f"{case.get('classname')}.{case.get('name')}"
            for case in report.iter("testcase")
            if not any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))
        ]
        self.failed -= len(steady_now)
        self.passed += len(steady_now)
        self.unsteady += steady_now


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests")
    parser.add_argument("--checks", action="store_true", help="no tests")
    only_checks = parser.parse_args().checks
    started = time.monotonic()
    count = Count()
    try:
        if not only_checks:
            install_missing(say)
        failed = run_checks()
        checks = f"{len(CHECKS) - len(failed)} checks passed, {len(failed)} failed"
        if not only_checks:
            failed += run_suites(count)
    finally:
        shutil.rmtree(RUN.directory, ignore_errors=True)
    say("")
    if failed:
        say(f"Failed: {', '.join(failed)}.")
    for test in count.unsteady:
        say(f"Passed only with nothing beside it: {test}")
    tests = f"{count.passed} tests passed, {count.failed} failed, {count.left_out} left out"
    say(f"{'' if only_checks else f'{tests}; '}{checks}; {time.monotonic() - started:.0f} s.")
    return 1 if failed else 0


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def run_checks() -> list[str]:
    """Runs all checks, two at a time; the names of those that failed."""
    with ThreadPoolExecutor(2) as pool:
        passed = pool.map(lambda check: passes(*check), CHECKS)
        return [
            name for (name, _command, _settings), is_fine in zip(CHECKS, passed, strict=True) if not is_fine
        ]


def passes(name: str, command: tuple[str, ...], settings: str) -> bool:
    """Runs a check of the environment's own programs; what it says is shown if it fails."""
    environment = {
        **inherited_environment(),
        **RUN.environment(),
        "DJANGO_SETTINGS_MODULE": settings,
        "PYTHONPATH": str(ROOT),
        # Nothing here needs a server.
        "WAXWING_DATABASE_URL": "sqlite://:memory:",
        "WAXWING_AGENT_DATABASE_URL": "sqlite://:memory:",
    }
    program = Path(sys.executable).with_name(command[0])
    check = subprocess.run(
        [program, *command[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    say(f"{'failed' if check.returncode else 'passed'}: {name}")
    if check.returncode:
        say(f"{check.stdout}{check.stderr}")
    return check.returncode == 0


class RunningRow:
    """Runs of pytest, one after the other, beside other rows; one that is not shown keeps what its suites say
    until it is asked for it."""

    def __init__(self, suites: Sequence[Suite], directory: Path, *, prepared: Path, shown: bool) -> None:
        self.suites = suites
        self.failed: list[int] = []
        self._directory = directory
        self._prepared = prepared
        self._shown = shown
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True)

    def run(self) -> None:
        for number, suite in enumerate(self.suites):
            with nullcontext() if self._shown else self._file(number, "output").open("wb") as written:
                if self._stopped:
                    return
                self._process = self._start(suite, number, self._file(number, "xml"), written)
                if self._process.wait() != 0:
                    self.failed.append(number)

    def run_failed_again(self, count: Count) -> list[str]:
        """Runs once more, shown, what failed, with nothing beside it; the suites that fail again.

        What waits for servers, workers and a browser may lack the processor while everything else runs. The
        count tells such tests from those that passed at once.
        """
        failed = []
        for number in self.failed:
            name, arguments, _started_by = self.suites[number]
            report = self._file(number, "again.xml")
            say(f"\n{name}: what failed, once more")
            again = self._start(
                (name, (*arguments, "--last-failed", "--last-failed-no-failures=none"), ()),
                number,
                report,
                None,
            )
            if again.wait() != 0:
                failed.append(name)
            if report.exists():
                count.add_second_run(ElementTree.parse(report))  # noqa: S314
        return failed

    def tell(self, count: Count) -> None:
        """Shows what was not shown, and adds to the count."""
        for number, (name, *_) in enumerate(self.suites):
            if not self._shown:
                say(f"\n{name}\n{self._file(number, 'output').read_text(errors='replace')}")
            if self._file(number, "xml").exists():
                count.add(ElementTree.parse(self._file(number, "xml")))  # noqa: S314

    def stop(self) -> None:
        self._stopped = True
        if self._process:
            self._process.terminate()
            self._process.wait()

    def _file(self, number: int, kind: str) -> Path:
        return self._directory / f"{number}.{kind}"

    def _start(
        self, suite: Suite, number: int, report: Path, output: IO[bytes] | None
    ) -> subprocess.Popen[bytes]:
        _name, arguments, started_by = suite
        command = [*started_by, sys.executable, "-m", "pytest", *arguments]
        return subprocess.Popen(
            [
                *command,
                "--durations=20",
                f"--junit-xml={report}",
                "-o",
                # Runs beside each other would write each other's list of what failed.
                f"cache_dir={self._file(number, 'cache')}",
            ],
            cwd=ROOT,
            env={**inherited_environment(), SHARED: str(self._prepared)},
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
        )


def make_static_files(prepared: Path) -> None:
    """They lie in one place for all rows: the first installation of one would write what another's reads."""
    environment = {**inherited_environment(), **RUN.environment(), "DJANGO_SETTINGS_MODULE": WEBMAIL}
    # Under their hashed names, as installations have them.
    del environment["WAXWING_DEBUG"]
    command = [sys.executable, "-m", "django", "collectstatic", "--no-input", "--verbosity", "0"]
    # If it fails, it fails again in the first installation, which says why.
    if subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 0:
        (prepared / STATIC_FILES).touch()


def run_suites(count: Count) -> list[str]:
    """Runs all rows side by side, the first one shown as it goes; the suites that failed twice."""
    with tempfile.TemporaryDirectory() as directory:
        prepared = Path(directory) / "prepared"
        prepared.mkdir()
        make_static_files(prepared)
        rows = [
            RunningRow(suites, Path(directory) / str(number), prepared=prepared, shown=number == 0)
            for number, suites in enumerate(ROWS)
        ]
        others = ", ".join(suite[0] for row in rows[1:] for suite in row.suites)
        say(f"\n{ROWS[0][0][0]}; meanwhile {others}")
        with ThreadPoolExecutor(len(rows)) as pool:
            try:
                for running in [pool.submit(row.run) for row in rows]:
                    running.result()
            finally:
                for row in rows:
                    row.stop()
        for row in rows:
            row.tell(count)
        return [name for row in rows for name in row.run_failed_again(count)]


if __name__ == "__main__":
    sys.exit(main())
