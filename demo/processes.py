"""Child processes: started in groups of their own, watched, and stopped without leaving any behind."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

#: How often a starting process is asked whether it is ready, in seconds.
POLL = 0.1


class ProcessFailed(Exception):
    """A process ended, or did not become ready in time; the message holds the last lines of its log."""


@dataclass(frozen=True)
class ProcessSpec:
    """What to start, and how to know that it is up. The environment is all that the process gets."""

    name: str
    command: tuple[str, ...]
    #: Holds secrets.
    environment: Mapping[str, str] = field(repr=False)
    directory: Path
    is_ready: Callable[[], bool]
    #: Whom it runs as; only root can choose.
    user: str | None = None
    umask: int = -1
    stop_signal: signal.Signals = signal.SIGTERM
    start_seconds: float = 60
    stop_seconds: float = 8
    #: It is stopped after the processes that use it.
    is_used_by_others: bool = False


@dataclass
class RunningProcess:
    """A started process with its log file."""

    spec: ProcessSpec
    log: Path
    popen: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def has_ended(self) -> bool:
        return self.popen.poll() is not None

    def last_lines(self, count: int = 15) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-count:])

    def failure(self, what: str) -> ProcessFailed:
        return ProcessFailed(f"{self.spec.name} {what}. The end of {self.log}:\n{self.last_lines()}")

    def wait(self, seconds: float) -> None:
        """Returns when the process has ended, or after that time."""
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)

    def wait_until_ready(self, check: Callable[[], None] = lambda: None) -> None:
        """Returns when the process is ready; raises ProcessFailed, or what `check`, called often, raises."""
        deadline = time.monotonic() + self.spec.start_seconds
        while True:
            if self.has_ended():
                raise self.failure(f"ended with status {self.popen.returncode} while starting")
            check()
            if self.spec.is_ready():
                return
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {self.spec.start_seconds:.0f} seconds")
            time.sleep(POLL)

    def ask_to_stop(self) -> None:
        if not self.has_ended():
            self.popen.send_signal(self.spec.stop_signal)

    def stop(self) -> None:
        """Asks the process to end, waits, and then ends whatever is left of its group."""
        self.ask_to_stop()
        self.wait(self.spec.stop_seconds)
        self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        if self.popen.stdin:
            self.popen.stdin.close()


def start(spec: ProcessSpec, log: Path) -> RunningProcess:
    """Starts the process in a group of its own, its output in `log` (from empty); does not wait for it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        popen = subprocess.Popen(
            spec.command,
            cwd=spec.directory,
            env=dict(spec.environment),
            # Never written to; its end tells a process that minds it that we are gone.
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=spec.umask,
            user=spec.user,
            group=spec.user and pwd.getpwnam(spec.user).pw_gid,
            extra_groups=[] if spec.user else None,
        )
    return RunningProcess(spec, log, popen)


def stop_all(running: Iterable[RunningProcess]) -> None:
    """Stops the processes together, and returns when none of them or their children is left."""
    processes = list(running)
    for process in processes:
        process.ask_to_stop()
    for process in processes:
        process.stop()


def inherited_environment() -> dict[str, str]:
    """What a child may know of the environment we were started in: all but settings of Waxwing itself."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WAXWING_", "DJANGO_", "PYTEST_"))
    }
