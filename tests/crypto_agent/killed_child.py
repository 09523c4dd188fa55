"""The program that does one kind of work on an agent's database again and again, in children that are killed.

Every line on the standard input is a number of seconds. A child begins to work, tells of its first progress,
and gets SIGKILL that long after; what it had done by then is answered by one line.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from crypto_agent import audit, data_key_renewal, views  # noqa: E402
from crypto_agent.calls import Call  # noqa: E402
from crypto_agent.methods import METHODS  # noqa: E402
from crypto_agent.models import Account, DeviceKey  # noqa: E402


def rotate_prekeys() -> Iterator[None]:
    """As the method does that workers call."""
    devices = list(DeviceKey.objects.filter(state="active").values_list("account__did", "fingerprint"))
    while True:
        for did, fingerprint in devices:
            now = timezone.now()
            use = audit.Use(now, "worker", did, "rotatePrekey", 1, "ok", None)
            fields = {"did": did, "fingerprint": fingerprint, "force": True}
            views._on_record(METHODS["rotatePrekey"], Call(fields, now, os.urandom), use)
            yield


def rotate_data_keys() -> Iterator[None]:
    """As the schedule and the command do, with the search indexes."""
    while True:
        did = Account.objects.order_by("?").values_list("did", flat=True)[0]
        data_key_renewal.replace(did, data_key_renewal.SCHEDULE, timezone.now(), os.urandom)
        yield
        for did in data_key_renewal.behind():
            yield from (None for _ in data_key_renewal.move_on(did, os.urandom))


def make_operator_keys() -> Iterator[None]:
    """By the command itself."""
    while True:
        call_command("make_operator_key", "--next", stdout=open(os.devnull, "w"))  # noqa: SIM115
        yield


WORK: dict[str, Callable[[], Iterator[None]]] = {
    work.__name__: work for work in (rotate_prekeys, rotate_data_keys, make_operator_keys)
}


def main(work: Callable[[], Iterator[None]]) -> None:
    for line in sys.stdin:
        connections.close_all()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                for _ in work():
                    os.write(writing, b".")
            finally:
                traceback.print_exc()
                # At once, so that it is not taken for one that was killed.
                os._exit(1)
        os.close(writing)
        done = len(os.read(reading, 1))
        time.sleep(float(line))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        while progress := os.read(reading, 1 << 16):
            done += len(progress)
        os.close(reading)
        assert os.WIFSIGNALED(status), "it ended before it was killed"
        print(done, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(WORK[sys.argv[1]])
