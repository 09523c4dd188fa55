"""A hundred messages, during which everything is killed again and again."""

import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import httpx
import psutil
import pytest
import redis
from kombu.exceptions import OperationalError

from tests.environment import RUN
from tests.services.inhabited import inhabited_installation
from tests.services.installations import (
    RunningInstallation,
    wait_until,
    wait_until_nothing_is_left,
)
from tests.services.windows import Window
from webmail.mailbox import MailboxError

MESSAGES = 100
KILLS = 50
#: What is killed, and how likely it is the next.
VICTIMS = {"worker": 3, "deliveries": 2, "lookups": 1, "agent": 3, "web": 3, "dovecot": 3, "redis": 2}
WORKERS = ("worker", "deliveries", "lookups")
#: How far the messages may be ahead of the kills, or behind, in messages.
SLACK = 10
SEED = int(os.environ.get("KILLS_SEED", time.time_ns() % 2**32))


@dataclass
class Course:
    """How far the run has come."""

    sent: int = 0
    killed: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def may_send(self) -> bool:
        return self.sent < len(self.killed) * MESSAGES / KILLS + SLACK

    def may_kill(self) -> bool:
        return len(self.killed) * MESSAGES / KILLS < self.sent + SLACK


@pytest.fixture(scope="module")
def installation() -> Iterator[tuple[RunningInstallation, Window, Window]]:
    """With Dovecot; alice and bob are signed in, and have a conversation."""
    with inhabited_installation(RUN.directory / "killed", "alice", "bob", with_dovecot=True) as place:
        yield place.running, place.people["alice"], place.people["bob"]


def test_nothing_is_lost_and_nothing_shown_twice(
    installation: tuple[RunningInstallation, Window, Window],
) -> None:
    running, alice, bob = installation
    print(f"KILLS_SEED={SEED}")  # noqa: T201
    conversation = alice.write([bob.did], "before")
    wait_until(bob.rows)
    course = Course()
    with ThreadPoolExecutor(3) as threads:
        killing = threads.submit(kill_at_random, running, course, random.Random(SEED))
        killing.add_done_callback(lambda ended: ended.exception() and course.over.set())
        sending = [
            threads.submit(send_half, window, conversation, number, course)
            for number, window in enumerate((alice, bob))
        ]
        try:
            for each in (killing, *sending):
                each.result(timeout=600)
        finally:
            course.over.set()
    print(f"{course.sent} sent, killed: {Counter(course.killed)}")  # noqa: T201

    expected = {"before", *(f"message {number}" for number in range(MESSAGES))}
    wait_until(lambda: all(is_up(running, name) for name in VICTIMS), 120)
    wait_until_nothing_is_left(lambda: under_way(running, alice.did, bob.did), 300)
    for window in (alice, bob):
        thread = window.thread(conversation)
        times_shown = Counter(message.text for message in thread)
        assert expected - times_shown.keys() == set()
        assert {text: times for text, times in times_shown.items() if times > 1} == {}
        assert times_shown.keys() == expected
        assert not [message for message in thread if message.shut]
        assert running.mails(window.did, "INBOX") == []
        assert running.mails(window.did, "Quarantine") == []
        archived = Counter(message_id_of(mail) for mail in running.mails(window.did, "Archive"))
        assert archived == {message.id: 1 for message in thread}
        assert window.words("/kept-aside/").count("Nothing is kept aside") == 1


def send_half(window: Window, conversation: str, number: int, course: Course) -> None:
    """Every second message. What fails is sent again with the same token, as a person would."""
    for message in range(number, MESSAGES, 2):
        while not course.may_send():
            assert not course.over.is_set()
            time.sleep(0.05)
        token = str(UUID(int=message))
        for _attempt in count():
            assert not course.over.is_set()
            # A server that is not there, or fails, or a page that says what went wrong.
            with suppress(httpx.HTTPError, AssertionError):
                window.reply(conversation, f"message {message}", token=token)
                break
            time.sleep(0.2)
        course.sent += 1


def kill_at_random(running: RunningInstallation, course: Course, chance: random.Random) -> None:
    """SIGKILL, now to one process of several, now to a whole group, each time to something that is up."""
    assert running.dovecot
    starting: set[str] = set()
    while len(course.killed) < KILLS and not course.over.is_set():
        time.sleep(chance.uniform(0, 1))
        starting = {name for name in starting if not is_up(running, name)}
        up = [name for name in VICTIMS if name not in starting]
        if not up or not course.may_kill():
            continue
        name = chance.choices(up, [VICTIMS[one] for one in up])[0]
        children = psutil.Process(pid_of(running, name)).children(recursive=True)
        if children and chance.random() < 0.5:
            # Its parent starts another.
            child = chance.choice(children)
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            course.killed.append(f"{name}'s child")
            continue
        if name == "dovecot":
            running.dovecot.kill()
            running.dovecot.begin()
        else:
            running.kill(name)
            running.begin(name)
        starting.add(name)
        course.killed.append(name)


def pid_of(running: RunningInstallation, name: str) -> int:
    process = running.dovecot.running if name == "dovecot" and running.dovecot else running.processes[name]
    assert process
    return process.pid


def is_up(running: RunningInstallation, name: str) -> bool:
    process = running.dovecot.running if name == "dovecot" and running.dovecot else running.processes[name]
    assert process
    if process.has_ended():
        if name not in WORKERS:
            raise process.failure("ended by itself")
        # A Celery worker that is connecting while its broker goes may end; containers are started again.
        running.begin(name)
        return False
    with suppress(OperationalError, redis.RedisError):
        return process.spec.is_ready()
    return False


UNFINISHED = """
SELECT 'message', state, count(*) FROM webmail_message
 WHERE state = 'composed' OR archived_at IS NULL OR archiving_since IS NOT NULL GROUP BY state
UNION ALL SELECT 'delivery', state, count(*) FROM webmail_delivery WHERE state <> 'accepted' GROUP BY state
UNION ALL SELECT 'arrival', state, count(*) FROM webmail_arrival WHERE state <> 'done' GROUP BY state
"""


def under_way(running: RunningInstallation, *dids: str) -> list[object]:
    """What is not at its end yet: rows by state, mails in an INBOX, a mail server that is coming back."""
    try:
        waiting = {did: len(running.mails(did, "INBOX")) for did in dids}
    except MailboxError as error:
        return [error]
    return [*running.sql(UNFINISHED), *((did, count) for did, count in waiting.items() if count)]


def message_id_of(mail: bytes) -> str:
    found = re.search(rb"^Message-ID: <([0-9a-f]{64})@", mail, re.MULTILINE | re.IGNORECASE)
    assert found
    return found[1].decode()
