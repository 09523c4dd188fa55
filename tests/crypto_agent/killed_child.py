"""The program that does one kind of work on an agent's database again and again, in children that are killed.

Every line on the standard input is a number of steps and a number of seconds. A child begins to work, tells
of so much progress, and gets SIGKILL that long after; what it had done by then is answered by one line.
"""

import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from crypto_agent import audit, data_key_renewal, views  # noqa: E402
from crypto_agent.calls import Call  # noqa: E402
from crypto_agent.methods import METHODS  # noqa: E402
from crypto_agent.models import Account, DeviceKey  # noqa: E402

#: Said by the work whenever it came a step further.
Tell = Callable[[], object]


def rotate_prekeys(tell: Tell) -> None:
    """As the method does that workers call."""
    devices = list(DeviceKey.objects.filter(state="active").values_list("account__did", "fingerprint"))
    while True:
        for did, fingerprint in devices:
            now = timezone.now()
            use = audit.Use(now, "worker", did, "rotatePrekey", 1, "ok", None)
            fields = {"did": did, "fingerprint": fingerprint, "force": True}
            views._on_record(METHODS["rotatePrekey"], Call(fields, now, os.urandom), use)
            tell()


def rotate_data_keys(tell: Tell) -> None:
    """As the schedule and the command do, with the search indexes."""
    while True:
        did = Account.objects.order_by("?").values_list("did", flat=True)[0]
        data_key_renewal.replace(did, data_key_renewal.SCHEDULE, timezone.now(), os.urandom)
        tell()
        for did in data_key_renewal.behind():
            for _ in data_key_renewal.move_on(did, "command", timezone.now(), os.urandom):
                tell()


def make_operator_keys(tell: Tell) -> None:
    """By the command itself."""
    while True:
        call_command("make_operator_key", "--next", stdout=open(os.devnull, "w"))  # noqa: SIM115
        tell()


def rewrap(tell: Tell) -> None:
    """By the command itself, which ends; each of its lines is progress."""

    class Lines(io.StringIO):
        def write(self, text: str) -> int:
            tell()
            return len(text)

    call_command("rewrap", "--batch", "2", stdout=Lines())


WORK: dict[str, Callable[[Tell], None]] = {
    work.__name__: work for work in (rotate_prekeys, rotate_data_keys, make_operator_keys, rewrap)
}


def main(work: Callable[[Tell], None]) -> None:
    for line in sys.stdin:
        steps, seconds = line.split()
        connections.close_all()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                work(partial(os.write, writing, b"."))
            finally:
                traceback.print_exc()
                # At once, so that it is not taken for one that was killed.
                os._exit(1)
        os.close(writing)
        done = sum(len(os.read(reading, 1)) for _ in range(int(steps)))
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        while progress := os.read(reading, 1 << 16):
            done += len(progress)
        os.close(reading)
        assert os.WIFSIGNALED(status), "it ended before it was killed"
        print(done, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(WORK[sys.argv[1]])
