"""Every check and every test, one after the other; the last line counts them.

python -m tests             installs missing programs first, where that is possible
python -m tests --checks    the checks alone
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
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

#: What it is, the command, and the settings of the Django project that it looks at.
CHECKS = (
    ("style", ("ruff", "check", "--quiet"), WEBMAIL),
    ("formatting", ("ruff", "format", "--check", "--quiet"), WEBMAIL),
    ("types", ("mypy", "accounts", "outbound", "webmail", "demo", "deploy", "manage.py"), WEBMAIL),
    ("the agent's types", ("mypy", "--config-file", "crypto_agent/mypy.ini", "crypto_agent", "bench"), AGENT),
    ("import rules", ("lint-imports",), WEBMAIL),
    ("migrations", NEW_MIGRATIONS, WEBMAIL),
    ("the agent's migrations", NEW_MIGRATIONS, AGENT),
)
#: The agent is a Django project of its own, so its tests are a run of their own.
SUITES = (
    ("the crypto agent's tests", ("tests/crypto_agent", "--ds=tests.agent_settings")),
    ("all other tests", ("tests", "--ignore=tests/crypto_agent")),
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
        failed = [name for name, command, settings in CHECKS if not passes(name, command, settings)]
        checks = f"{len(CHECKS) - len(failed)} checks passed, {len(failed)} failed"
        if not only_checks:
            failed += [name for name, arguments in SUITES if not run_suite(name, arguments, count)]
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


def run_suite(name: str, arguments: tuple[str, ...], count: Count) -> bool:
    """Runs pytest, showing what it says, and adds to the count."""
    say(f"\n{name}")
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        suite = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments, f"--junit-xml={report}"],
            cwd=ROOT,
            env=inherited_environment(),
            check=False,
        )
        if report.exists():
            for results in ElementTree.parse(report).iter("testsuite"):  # noqa: S314
                total, failed, errors, skipped = (
                    int(results.get(kind, 0)) for kind in ("tests", "failures", "errors", "skipped")
                )
                count.passed += total - failed - errors - skipped
                count.failed += failed + errors
                count.left_out += skipped
    return suite.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
