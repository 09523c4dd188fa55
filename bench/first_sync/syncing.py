"""The figures: a worker takes in a mailbox that an account brings along, while its list is looked at.

The envelopes of 200 people lie in Dovecot; what the people's servers say of their devices is known already,
so no other server is asked. One run; the floor is a fetch of every mail over one connection, just before.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import cbor2
import httpx
from celery import Celery
from imapclient import IMAPClient

from bench.figures import limit_line, work_line
from bench.installed import installed, run_module
from demo import installation as parts
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.services.installations import RunningInstallation
from webmail.mailbox import INBOX
from webmail.mailbox.envelope_mail import mail_with_envelope
from webmail.mailbox.names import mailbox_name
from webmail.mailbox.tokens import mailbox_token

ENVELOPES = 10_000
WANTED_S = 15
WANTED_USABLE_S = 2
WANTED_RATIO = 1.5
#: Mails that are appended, or fetched bare, by one command.
AT_ONCE = 500
#: Seconds between two looks at the list, or at the database.
EVERY_S = 0.2
PATIENCE_S = 1800


def figures(envelopes: int = ENVELOPES) -> Iterator[str]:
    """Until the list shows the first conversations, until it has all messages, and until all are archived."""
    with dovecot_server() as dovecot, installed(dovecot.dovecot.settings()) as running:
        file = running.installation.directory / "envelopes"
        agent = parts.agent_environment(running.installation)
        run_module("bench.first_sync.sealed_envelopes", str(file), str(envelopes), environment=agent)
        told = run_module("bench.first_sync.known_senders", str(file), environment=running.environment)
        account_pk, cookies = json.loads(told)
        with _mailbox(dovecot, file) as client:
            _append(client, file)
            floor_s = _seconds_of_bare_fetch(client, envelopes)
        running.start("redis")
        running.start("agent", "web", "worker", "lookups")
        with httpx.Client(base_url=running.url, cookies=cookies, timeout=60) as page:
            # So that the first page is not the one that is timed.
            assert not _rows(page)
            started = time.perf_counter()
            with Celery(broker=running.installation.redis_url) as app:
                app.send_task("webmail.tasks.pull", (account_pk,), queue="interactive")
            usable_s = _seconds_until(started, lambda: _rows(page))
            synced_s = _seconds_until(started, lambda: _count(running, "webmail_message") == envelopes)
            yield limit_line(f"sync/{envelopes}/usable", "seconds", usable_s, WANTED_USABLE_S)
            yield work_line(f"sync/{envelopes}", synced_s, floor_s, WANTED_S, WANTED_RATIO)
            archived_s = _seconds_until(
                started, lambda: _count(running, "webmail_arrival WHERE state = 'done'") == envelopes
            )
            yield work_line(f"sync/{envelopes}/archived", archived_s, floor_s)


@contextmanager
def _mailbox(dovecot: DovecotServer, file: Path) -> Iterator[IMAPClient]:
    """A bare connection to the mailbox of the account that the file is for."""
    with file.open("rb") as opened:
        name = mailbox_name(cbor2.load(opened)["did"])
    with IMAPClient("127.0.0.1", dovecot.dovecot.port, ssl=False) as client:
        client.oauthbearer_login(name, mailbox_token(dovecot.token_key, name, now=datetime.now(UTC)))
        client.capabilities()
        yield client


def _append(client: IMAPClient, file: Path) -> None:
    with file.open("rb") as opened:
        # The account's device, and those of the senders.
        cbor2.load(opened), cbor2.load(opened)
        mails = [mail_with_envelope(envelope) for envelope in _envelopes(opened)]
    for start in range(0, len(mails), AT_ONCE):
        client.multiappend(INBOX, mails[start : start + AT_ONCE])


def _envelopes(opened: BinaryIO) -> Iterator[bytes]:
    while True:
        try:
            yield cbor2.load(opened)
        except cbor2.CBORDecodeEOF:
            return


def _seconds_of_bare_fetch(client: IMAPClient, envelopes: int) -> float:
    started = time.perf_counter()
    client.select_folder(INBOX, readonly=True)
    uids = client.search()
    for start in range(0, len(uids), AT_ONCE):
        client.fetch(uids[start : start + AT_ONCE], ["BODY.PEEK[]"])
    assert len(uids) == envelopes
    return time.perf_counter() - started


def _rows(page: httpx.Client) -> int:
    """How many conversations the list shows."""
    answer = page.get("/list/", headers={"HX-Request": "true"})
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.text.count('<a class="row')


def _count(running: RunningInstallation, rows: str) -> int:
    ((count,),) = running.sql(f"SELECT count(*) FROM {rows}")  # noqa: S608 (our own words)
    return int(count)


def _seconds_until(started: float, condition: Callable[[], object]) -> float:
    while not condition():
        assert time.perf_counter() - started < PATIENCE_S
        time.sleep(EVERY_S)
    return time.perf_counter() - started
