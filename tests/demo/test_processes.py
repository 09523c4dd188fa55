"""Child processes of the demo and the tests."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.processes import ProcessFailed, ProcessSpec, inherited_environment, start, stop_all

#: Starts a child, ignores SIGTERM as the child does, and writes both ids down.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open("ids.new", "w") as ids:
    ids.write(f"{os.getpid()} {child.pid}")
os.rename("ids.new", "ids")
time.sleep(600)
"""


def spec(directory: Path, program: str, is_ready: Callable[[], bool], **settings: float) -> ProcessSpec:
    return ProcessSpec(
        name="example",
        command=(sys.executable, "-c", program),
        environment=inherited_environment(),
        directory=directory,
        is_ready=is_ready,
        **settings,  # type: ignore[arg-type]
    )


def is_running(pid: int) -> bool:
    """Not counting one that has ended and that nobody has asked about."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_does_not_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    process = start(spec(tmp_path, STUBBORN, ids.exists, stop_seconds=0.5), tmp_path / "log")
    process.wait_until_ready()
    parent, child = map(int, ids.read_text().split())
    assert is_running(parent)
    assert is_running(child)
    stop_all([process])
    assert not is_running(parent)
    deadline = time.monotonic() + 5
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def test_stopping_twice_is_no_error(tmp_path: Path) -> None:
    process = start(spec(tmp_path, "import time; time.sleep(600)", lambda: True), tmp_path / "log")
    stop_all([process])
    stop_all([process])
    assert process.has_ended()


def test_one_that_ends_while_starting_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    program = "for number in range(100): print('line', number)\nraise SystemExit(3)"
    process = start(spec(tmp_path, program, lambda: False), tmp_path / "log")
    with pytest.raises(ProcessFailed) as raised:
        process.wait_until_ready()
    message = str(raised.value)
    assert message.startswith(f"example ended with status 3 while starting. The end of {tmp_path / 'log'}:\n")
    assert "line 99" in message
    assert "line 84\n" not in message


def test_one_that_is_not_ready_in_time_is_named(tmp_path: Path) -> None:
    process = start(
        spec(tmp_path, "import time; time.sleep(600)", lambda: False, start_seconds=0.3), tmp_path / "log"
    )
    try:
        with pytest.raises(ProcessFailed, match="example did not answer within 0 seconds"):
            process.wait_until_ready()
    finally:
        process.stop()


def test_a_process_gets_only_the_environment_that_is_meant_for_it(tmp_path: Path) -> None:
    os.environ["WAXWING_SECRET_KEY"]  # the tests' own, set for the whole run
    program = "import os; print(sorted(name for name in os.environ if name.startswith('WAXWING')))"
    process = start(spec(tmp_path, program, lambda: True), tmp_path / "log")
    process.wait(10)
    process.kill()
    assert process.log.read_text() == "[]\n"


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    described = ProcessSpec(
        name="example",
        command=("true",),
        environment={"WAXWING_SECRET_KEY": "very secret"},
        directory=tmp_path,
        is_ready=lambda: True,
    )
    assert "very secret" not in repr(described)
    assert "very secret" not in repr(start(described, tmp_path / "log"))
