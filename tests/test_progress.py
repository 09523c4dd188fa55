"""What the runner says of suites that are under way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.processes import inherited_environment
from tests import __main__ as runner
from tests.progress import IN_FIGURES, Progress, progress_of


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of two small files, the first of which fills more than a line."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "test_many.py").write_text(
        "import pytest\n@pytest.mark.parametrize('number', range(90))\n"
        "def test_one(number):\n    assert number != 89\n"
    )
    (folder / "test_few.py").write_text(
        "import pytest\ndef test_left_out():\n    pytest.skip('not here')\n\ndef test_fine():\n    pass\n"
    )
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *IN_FIGURES, f"--rootdir={folder}", "-c", os.devnull),
            *("-p", "no:cacheprovider", "-p", "no:django", "test_many.py", "test_few.py"),
        ],
        cwd=folder,
        env={**inherited_environment(), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 90 passed, 1 skipped" in run.stdout, run.stdout + run.stderr
    return run.stdout


def until(output: str, mark: str, *, after: int = 0) -> str:
    """Of the output what was there when `after` characters beyond the mark were written."""
    assert mark in output
    return output[: output.index(mark) + len(mark) + after]


def test_before_all_is_collected_nothing_is_known(output: str) -> None:
    assert progress_of("") == progress_of(until(output, "rootdir")) == Progress(0, 0)


def test_each_letter_is_a_test_that_is_done(output: str) -> None:
    assert progress_of(until(output, "test_many.py ")) == Progress(0, 92, "test_many.py")
    assert progress_of(until(output, "test_many.py ", after=7)) == Progress(7, 92, "test_many.py")
    assert str(progress_of(until(output, "test_few.py s"))) == "91 of 92 (test_few.py)"


def test_a_broken_line_is_counted_on(output: str) -> None:
    figure = output[output.index("[") : output.index("]") + 1]
    first_line = int(figure.strip("[ ]").split("/")[0])
    assert 0 < first_line < 90
    assert progress_of(until(output, figure, after=1)) == Progress(first_line, 92, "test_many.py")
    assert progress_of(until(output, figure, after=4)) == Progress(first_line + 3, 92, "test_many.py")


def test_at_the_end_all_are_done(output: str) -> None:
    assert progress_of(output) == Progress(92, 92, "test_few.py")


def test_the_runner_says_it_while_no_suite_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two suites one waits for that."""
    seen, quick, waiting = tmp_path / "seen", tmp_path / "test_quick.py", tmp_path / "test_waiting.py"
    quick.write_text("def test_fine():\n    pass\n")
    waiting.write_text(
        "import pathlib, time\ndef test_fine():\n    pass\n\ndef test_waits():\n"
        f"    for _ in range(300):\n        if pathlib.Path({str(seen)!r}).exists():\n            break\n"
        "        time.sleep(0.1)\n"
    )
    own = (f"--rootdir={tmp_path}", "-c", os.devnull, "-p", "no:django")
    suites = [("quick ones", (*own, str(quick)), ()), ("waiting ones", (*own, str(waiting)), ())]
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("  waiting ones: 1 of 2 ("):
            seen.touch()

    for name, value in {
        "SUITES": suites,
        "SILENCE": 0.3,
        "say": say,
        "prepare": lambda *_, **__: None,
    }.items():
        monkeypatch.setattr(runner, name, value)
    count = runner.Count()
    assert runner.run_suites(count) == []
    assert (count.passed, count.failed) == (3, 0)
    assert seen.exists()
    assert any(line.endswith("After 0 min:") for line in said)
