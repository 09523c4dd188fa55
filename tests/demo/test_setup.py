"""`demo/setup.sh` on machines where something is missing."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The PATH of a machine with the programs that every system has, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "dirname", "cat", "awk", "tee", "tail"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return folder


def fake_python(folder: Path, script: str) -> None:
    """A python3 that can't be made to show this fault otherwise."""
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def run_setup(folder: Path, demo_folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", demo_folder / "demo" / "setup.sh", *arguments],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def add(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).symlink_to("/bin/true")


def test_without_a_compiler(programs: Path, demo_folder: Path) -> None:
    outcome = run_setup(programs, demo_folder)
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr == (
        "No C++ compiler was found: install one first"
        " (Debian and Ubuntu: apt install g++; macOS: xcode-select --install).\n"
    )


def test_without_make(programs: Path, demo_folder: Path) -> None:
    add(programs, "c++")
    outcome = run_setup(programs, demo_folder)
    assert outcome.returncode == 1
    assert outcome.stderr == "make was not found: install it first (Debian and Ubuntu: apt install make).\n"


def test_without_python(programs: Path, demo_folder: Path) -> None:
    add(programs, "c++", "make")
    outcome = run_setup(programs, demo_folder)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("Python 3.11 or newer is needed and was not found")
    assert outcome.stderr.count("\n") == 1


def test_with_an_old_python(programs: Path, demo_folder: Path) -> None:
    add(programs, "c++", "make")
    fake_python(programs, "exit 1")
    outcome = run_setup(programs, demo_folder)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("Python 3.11 or newer is needed and was not found")


def test_without_the_venv_module(programs: Path, demo_folder: Path) -> None:
    add(programs, "c++", "make")
    fake_python(programs, 'case "$2" in *ensurepip*) exit 1;; *hashlib*) echo lock;; esac')
    outcome = run_setup(programs, demo_folder)
    assert outcome.returncode == 1
    assert outcome.stderr == (
        "Python's venv module is missing: install it first (Debian and Ubuntu: apt install python3-venv).\n"
    )


def test_the_live_network_needs_no_compiler(programs: Path, demo_folder: Path) -> None:
    outcome = run_setup(programs, demo_folder, "--without-compiler")
    assert "compiler" not in outcome.stderr
    assert outcome.stderr.startswith("Python 3.11 or newer")


def test_nothing_is_done_for_a_lock_that_is_installed(demo_folder: Path) -> None:
    environment = demo_folder / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    lock = (demo_folder / "requirements.lock").read_bytes()
    (environment / "made-from").write_text(hashlib.sha256(lock).hexdigest())
    outcome = subprocess.run([demo_folder / "demo" / "setup.sh"], capture_output=True, check=True, timeout=60)
    assert outcome.stdout == outcome.stderr == b""
