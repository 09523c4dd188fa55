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
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from demo.processes import inherited_environment
from tests.environment import RUN
from tests.services.packages import install_missing

ROOT = Path(__file__).resolve().parent.parent
WEBMAIL = "webmail.settings"
AGENT = "crypto_agent.settings"
NEW_MIGRATIONS = ("django-admin", "makemigrations", "--check", "--dry-run")
#: What the benchmark has done in the webmail's database.
BENCH = (
    "bench/web/filled_index.py",
    "bench/web/bare_pages.py",
    "bench/web/browsers.py",
    "bench/first_sync/known_senders.py",
)

#: What it is, the command, and the settings of the Django project that it looks at.
CHECKS = (
    ("style", ("ruff", "check", "--quiet"), WEBMAIL),
    ("formatting", ("ruff", "format", "--check", "--quiet"), WEBMAIL),
    ("types", ("mypy", "accounts", "outbound", "webmail", "demo", "deploy", "manage.py", *BENCH), WEBMAIL),
    ("the agent's types", ("mypy", "--config-file", "crypto_agent/mypy.ini", "crypto_agent", "bench"), AGENT),
    ("import rules", ("lint-imports",), WEBMAIL),
    ("migrations", NEW_MIGRATIONS, WEBMAIL),
    ("the agent's migrations", NEW_MIGRATIONS, AGENT),
)
#: Those of whole installations, which wait for others most of the time.
OF_INSTALLATIONS = ("tests/browser", "tests/demo", "tests/faults", "tests/installations")
#: Where all want the processor, those that wait for others go first; the rest fills what they leave.
PATIENT = ("nice", "-n", "10")
#: The agent is a Django project of its own, so its tests are a run of their own.
SUITES = (
    (
        "tests of parts",
        ("tests", *(f"--ignore={path}" for path in (*OF_INSTALLATIONS, "tests/crypto_agent"))),
        PATIENT,
    ),
    ("tests of whole installations", OF_INSTALLATIONS, ()),
    ("the crypto agent's tests", ("tests/crypto_agent", "--ds=tests.agent_settings"), PATIENT),
)


@dataclass
class Count:
    """How many tests came out how."""

    passed: int = 0
    failed: int = 0
    left_out: int = 0


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


@dataclass
class RunningSuite:
    """A run of pytest that goes on beside others; one that is not shown keeps what it says until its end."""

    name: str
    process: subprocess.Popen[bytes]
    report: Path
    output: Path | None

    @classmethod
    def start(
        cls,
        name: str,
        arguments: tuple[str, ...],
        started_by: tuple[str, ...],
        directory: Path,
        *,
        shown: bool,
    ) -> "RunningSuite":
        directory.mkdir(parents=True)
        report, output = directory / "report.xml", None if shown else directory / "output"
        with output.open("wb") if output else nullcontext() as written:
            process = subprocess.Popen(
                [
                    *(*started_by, sys.executable, "-m", "pytest", *arguments),
                    *("--durations=20", f"--junit-xml={report}"),
                ],
                cwd=ROOT,
                env=inherited_environment(),
                stdout=written,
                stderr=subprocess.STDOUT if written else None,
            )
        return cls(name, process, report, output)

    def finish(self, count: Count) -> bool:
        """Waits for the end, shows what was not shown, and adds to the count."""
        passed = self.process.wait() == 0
        if self.output:
            say(f"\n{self.name}\n{self.output.read_text(errors='replace')}")
        if self.report.exists():
            for results in ElementTree.parse(self.report).iter("testsuite"):  # noqa: S314
                total, failed, errors, skipped = (
                    int(results.get(kind, 0)) for kind in ("tests", "failures", "errors", "skipped")
                )
                count.passed += total - failed - errors - skipped
                count.failed += failed + errors
                count.left_out += skipped
        return passed

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def run_suites(count: Count) -> list[str]:
    """Runs all suites side by side, the first one shown as it goes; the names of those that failed."""
    with tempfile.TemporaryDirectory() as directory:
        running = [
            RunningSuite.start(*suite, Path(directory) / str(number), shown=number == 0)
            for number, suite in enumerate(SUITES)
        ]
        say(f"\n{SUITES[0][0]}; meanwhile {', '.join(name for name, *_ in SUITES[1:])}")
        try:
            return [suite.name for suite in running if not suite.finish(count)]
        finally:
            for suite in running:
                suite.stop()


if __name__ == "__main__":
    sys.exit(main())
