"""What a run keeps in the repository's .run folder, and that no two runs use it at once."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.installation import ROOT


class AlreadyRunning(Exception):
    """Another run of this clone holds the folder; the message is for a person."""


@contextmanager
def run_folder(name: str) -> Iterator[Path]:
    """`.run/NAME`, for this process alone while the context is entered. Raises AlreadyRunning."""
    folder = ROOT / ".run" / name
    # Dovecot, which runs as a user of its own, passes through it; what is secret in it is closed by itself.
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"`make {name}` is running already in this folder: stop it first.") from None
        yield folder
