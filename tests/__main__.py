"""Every check and every test; the last line counts them.

python -m tests             installs missing programs first, where that is possible
python -m tests --checks    the checks alone
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from demo.installation import Installation, make_directories
from demo.ports import free_port
from demo.processes import ProcessFailed, inherited_environment
from tests.environment import RUN
from tests.progress import IN_FIGURES, progress_of
from tests.services.installations import RunningInstallation, free_ports
from tests.services.packages import install_missing
from tests.services.postgres import new_database, postgres_server
from tests.services.preparations import SHARED
from tests.services.programs import find_postgres

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
    for name in (
        *("every_page", "custody", "pane", "page_weight", "previews", "refused_mail", "conversations"),
        *("gone_messages", "groups", "files", "app_on_a_device", "consent", "enter_key", "changes_begun"),
    )
)
OF_INSTALLATIONS = ("tests/demo", "tests/faults", "tests/installations")
OF_AGENT = "tests/crypto_agent"
OF_WEBMAIL = "tests/webmail"
#: Split by taking every other one: those about one thing stand beside each other.
WEBMAIL_FILES = tuple(sorted(str(path.relative_to(ROOT)) for path in (ROOT / OF_WEBMAIL).rglob("test_*.py")))
ELSEWHERE = (BROWSER, *OF_INSTALLATIONS, OF_AGENT, OF_WEBMAIL)
#: Where all want the processor, those that wait for others go first; the rest fills what they leave.
PATIENT = ("nice", "-n", "5")
#: In the order in which they begin, so many at a time: when one ends, the next begins, so that no processor
#: is idle before the last of them. A browser, what steers it and the server wait for each other: those go
#: first. The agent is a Django project of its own, so its tests are a run of their own.
AT_ONCE = 4
#: Seconds after which the runner says how far the suites have come, where none has ended meanwhile.
SILENCE = 60
SUITES: tuple[Suite, ...] = (
    ("the longest tests in a browser", LONGEST_IN_BROWSER, ()),
    ("the other tests in a browser", (BROWSER, *(f"--ignore={path}" for path in LONGEST_IN_BROWSER)), ()),
    ("tests of whole installations", OF_INSTALLATIONS, ()),
    ("tests of the webmail", WEBMAIL_FILES[::2], PATIENT),
    ("further tests of the webmail", WEBMAIL_FILES[1::2], PATIENT),
    ("the crypto agent's tests", (OF_AGENT, "--ds=tests.agent_settings"), PATIENT),
    ("tests of other parts", ("tests", *(f"--ignore={path}" for path in ELSEWHERE)), PATIENT),
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


class RunningSuite:
    """A run of pytest beside others. What it says is kept until it has ended."""

    def __init__(self, suite: Suite, directory: Path, *, prepared: Path) -> None:
        self.name, self._arguments, self._started_by = suite
        self.has_failed = False
        self.seconds = 0.0
        self._directory = directory
        self._prepared = prepared
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir()

    def run(self) -> None:
        if self._stopped:
            return
        begun = time.monotonic()
        with self._file("output").open("wb") as written:
            self._process = self._start(self._file("xml"), written, self._started_by)
            self.has_failed = self._process.wait() != 0
        self.seconds = time.monotonic() - begun

    def passes_now(self, count: Count) -> bool:
        """Runs once more, shown, what failed, with nothing beside it; whether all passes now.

        What waits for servers, workers and a browser may lack the processor while everything else runs. The
        count tells such tests from those that passed at once.
        """
        say(f"\n{self.name}: what failed, once more")
        report = self._file("again.xml")
        passed = self._start(report, None, (), "--last-failed", "--last-failed-no-failures=none").wait() == 0
        if report.exists():
            count.add_second_run(ElementTree.parse(report))  # noqa: S314
        return passed

    def tell(self, count: Count) -> None:
        """Shows how long it took and what it said, and adds to the count."""
        say(f"\n{self.name}: {self.seconds:.0f} s\n{self._file('output').read_text(errors='replace')}")
        if self._file("xml").exists():
            count.add(ElementTree.parse(self._file("xml")))  # noqa: S314

    def progress(self) -> str:
        """Its name, and how many of its tests are done; empty where it is not running."""
        if not self._process or self._process.poll() is not None:
            return ""
        return f"{self.name}: {progress_of(self._file('output').read_text(errors='replace'))}"

    def stop(self) -> None:
        self._stopped = True
        if self._process:
            self._process.terminate()
            self._process.wait()

    def _file(self, kind: str) -> Path:
        return self._directory / kind

    def _start(
        self, report: Path, output: IO[bytes] | None, started_by: tuple[str, ...], *further: str
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *(*started_by, sys.executable, "-m", "pytest", *self._arguments, *further),
                *IN_FIGURES,
                "--durations=20",
                f"--junit-xml={report}",
                "-o",
                # Runs beside each other would write each other's list of what failed.
                f"cache_dir={self._file('cache')}",
            ],
            cwd=ROOT,
            env={**inherited_environment(), SHARED: str(self._prepared)},
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
        )


def prepare(prepared: Path, directory: Path) -> None:
    """Does once what is done before an installation's first start, or each run of tests would do it.

    The static files lie in one place: the first installation of one run would write what another's reads.
    """
    os.environ[SHARED] = str(prepared)
    # If it fails, it fails again in the first installation, which says why.
    with suppress(ProcessFailed):
        prepare_one(Installation(directory / "prepared-for", free_ports()))
    if find_postgres():
        with suppress(ProcessFailed, subprocess.CalledProcessError), postgres_server(free_port()) as server:
            prepare_one(
                Installation(
                    directory / "prepared-on-postgres",
                    free_ports(),
                    {"WAXWING_DATABASE_URL": new_database(server, "webmail")},
                    {"WAXWING_AGENT_DATABASE_URL": new_database(server, "agent")},
                )
            )


def prepare_one(installation: Installation) -> None:
    make_directories(installation)
    RunningInstallation(installation, None).prepare()


def say_progress(suites: Iterable[RunningSuite], seconds: float) -> None:
    under_way = [progress for suite in suites if (progress := suite.progress())]
    say(f"\nAfter {seconds / 60:.0f} min:")
    for line in under_way:
        say(f"  {line}")


def run_suites(count: Count) -> list[str]:
    """Runs all suites, some at a time, each shown when it has ended; those that failed twice."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        prepared = directory / "prepared"
        prepared.mkdir()
        prepare(prepared, directory)
        suites = [
            RunningSuite(suite, directory / str(number), prepared=prepared)
            for number, suite in enumerate(SUITES)
        ]
        say(f"\n{AT_ONCE} at a time, and shown when they end: {', '.join(suite.name for suite in suites)}")
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                running = {pool.submit(suite.run): suite for suite in suites}
                while running:
                    ended, _others = wait(running, SILENCE, FIRST_COMPLETED)
                    for each in ended:
                        each.result()
                        running.pop(each).tell(count)
                    if not ended:
                        say_progress(running.values(), time.monotonic() - begun)
            finally:
                for suite in suites:
                    suite.stop()
        failed = [suite for suite in suites if suite.has_failed]
        return [suite.name for suite in failed if not suite.passes_now(count)]


if __name__ == "__main__":
    sys.exit(main())
