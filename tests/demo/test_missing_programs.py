"""What is said of programs that the tests need and a machine can't give."""

import subprocess
import sys
from pathlib import Path

import pytest

from demo.processes import inherited_environment
from tests.services import packages, programs

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def missing_program(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(programs.PROGRAMS, "Carrier pigeons", (("pigeons",), ("no-such-program",)))
    return "Carrier pigeons"


def test_a_test_that_needs_it_is_skipped_with_the_reason(missing_program: str) -> None:
    with pytest.raises(
        pytest.skip.Exception, match="for want of Carrier pigeons: no-such-program not installed"
    ):
        programs.need(missing_program)


def test_who_can_not_install_is_told_in_one_line(
    missing_program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    said: list[str] = []
    packages.install_missing(said.append)
    assert [line for line in said if missing_program in line] == [
        "Tests that need Carrier pigeons are left out: it is not installed,"
        " and only root on a system with apt-get can install it here."
    ]


def test_the_summary_has_a_line_for_each_group(tmp_path: Path) -> None:
    """In a run of its own, with this repository's conftest."""
    suite = tmp_path / "test_left_out.py"
    suite.write_text(
        "from tests.services.programs import LEFT_OUT\n"
        "import pytest\n"
        "@pytest.mark.parametrize('number', range(3))\n"
        "def test_left_out(number):\n"
        "    pytest.skip(f'{LEFT_OUT}Carrier pigeons: pigeons not installed')\n"
    )
    options = ["-q", "-p", "tests.conftest", f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(suite)],
        cwd=ROOT,
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 tests left out for want of Carrier pigeons: pigeons not installed\n" in run.stdout, run.stdout
