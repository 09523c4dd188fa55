"""Processes that outlive the one of ours that started them become our children, not the system's."""

import ctypes
import os
import sys
import time

#: PR_SET_CHILD_SUBREAPER of prctl(2), in Linux's <linux/prctl.h>.
_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on we see the end of all our descendants; where that is not possible, the system does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(patience: float = 1) -> None:
    """Takes leave of the descendants that have ended or are about to, so that `ps` shows none of them.

    `patience` is in seconds.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.02)
