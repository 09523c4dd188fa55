"""Starts processes, watches them, and stops all of them together."""

import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Self

from demo.orphans import adopt_orphans, reap_orphans
from demo.processes import POLL, ProcessSpec, RunningProcess, start, stop_all

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody asked for the end: Ctrl-C, SIGTERM, or the terminal went away."""


class Supervisor:
    """All that runs. Entered around the whole run: when it is left, nothing of it is left."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self.logs = logs
        self.say = say
        self.running: list[RunningProcess] = []
        self._starting: list[RunningProcess] = []
        self._commands: list[RunningProcess] = []
        self._end_wanted = False

    def __enter__(self) -> Self:
        adopt_orphans()
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Only notes the wish: an exception in the middle of a start would lose hold of a process."""
        self._end_wanted = True

    def begin(self, specs: Iterable[ProcessSpec]) -> None:
        """Starts the processes without waiting for them."""
        for spec in specs:
            self.check()
            process = start(spec, self.log_of(spec.name))
            self.running.append(process)
            self._starting.append(process)

    def wait(self) -> None:
        """Returns when all that was begun is up. Raises Interrupted or ProcessFailed."""
        while self._starting:
            process = self._starting.pop(0)
            process.wait_until_ready(self.check)
            self.say(f"  {process.spec.name} is up")

    def run(self, specs: Iterable[ProcessSpec]) -> None:
        """Runs commands side by side, until all have succeeded. Raises Interrupted or ProcessFailed."""
        self._commands = [start(spec, self.log_of(spec.name)) for spec in specs]
        for command in self._commands:
            while not command.has_ended():
                self.check()
                command.wait(POLL)
            if command.popen.returncode:
                raise command.failure(f"ended with status {command.popen.returncode}")
        self._commands = []

    def watch(self) -> None:
        """Never returns: raises Interrupted, or ProcessFailed when a process ends by itself."""
        while True:
            self.check()
            self.running[0].wait(0.5)

    def check(self) -> None:
        """Raises Interrupted if the end is wanted, and ProcessFailed if a process ended by itself."""
        if self._end_wanted:
            raise Interrupted
        for process in self.running:
            if process.has_ended():
                raise process.failure(f"ended by itself, with status {process.popen.returncode}")

    def stop(self) -> None:
        """Stops everything: first what uses other processes, then what is used."""
        for command in self._commands:
            command.kill()
        stop_all(process for process in self.running if not process.spec.is_used_by_others)
        stop_all(process for process in self.running if process.spec.is_used_by_others)
        self.running.clear()
        reap_orphans()

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"
