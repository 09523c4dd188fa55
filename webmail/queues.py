"""What is given to the workers, by name, and on which of their queues it waits.

`interactive` is what somebody waits for; `delivery` carries to other servers, and `lookups` asks them,
however slow they are; `schedule` is what comes by the clock. Each of the first three has workers of its own.
"""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

from webmail.celery import app

log = logging.getLogger(__name__)

INTERACTIVE, DELIVERY, LOOKUPS, SCHEDULE = "interactive", "delivery", "lookups", "schedule"

PULL = "webmail.tasks.pull"
SEAL = "webmail.tasks.seal"
SEAL_PATIENTLY = "webmail.tasks.seal_patiently"
DELIVER = "webmail.tasks.deliver"
CARRY_ANSWER = "webmail.tasks.carry_answer"
FILE_ANSWER = "webmail.tasks.file_answer"
RELEASE = "webmail.tasks.release"
ACKNOWLEDGE = "webmail.tasks.acknowledge"
RECHECK = "webmail.tasks.recheck"
ARCHIVE_WAITING = "webmail.tasks.archive_waiting"
INDEX_MESSAGES = "webmail.tasks.index_messages"
LOOK_INTO_REQUESTS = "webmail.tasks.look_into_requests"
READ_GRAPH = "webmail.tasks.read_graph"
TAKE_IN = "webmail.tasks.take_in"
WAKE = "webmail.tasks.wake"
ERASE = "webmail.tasks.erase"
CLOSE_ACCOUNT = "webmail.tasks.close_account"
RENEW_PREKEYS = "accounts.tasks.renew_prekeys_of"


def give(
    task: str, key: int, *, queue: str | None = None, after_s: float = 0, within_s: float | None = None
) -> None:
    """Give a task to the workers, on its own queue or another; one of the names above, and a row's number.
    It is begun ``after_s`` seconds from now at the earliest, and within ``within_s`` of that, or not at all.

    A broker that cannot be reached is left to `webmail.tasks.reconcile`.
    """
    expires = None if within_s is None else after_s + within_s
    try:
        app.send_task(task, (key,), retry=False, queue=queue, countdown=after_s or None, expires=expires)
    except OperationalError as error:
        log.warning("%s waits for the next round: %s", task, type(error).__name__)
