"""From one person's press on "send" to the other's open page, at one installation.

The sender's request is the page's own. The other person's page is an HTTP client that does what the page's
script does: it holds the stream of events open, and when the stream names the conversation it asks for the
news of it, which have the message's text; the browser's drawing of it is not in the figure. All parts are the
real ones, the mailbox is Dovecot; the time in which a message can be taken back (WAXWING_UNDO_SECONDS) is
zero.

The floor is the same mail by bare SMTP to a server that answers once it has appended it by IMAP.
"""

import re
import smtplib
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import redis
from aiosmtpd.controller import Controller

from bench.figures import latency_line
from bench.installed import installed
from demo.local_network import LocalNetwork
from demo.ports import free_port
from tests.services.dovecot import DovecotServer, dovecot_server
from tests.services.installations import RunningInstallation, wait_until
from tests.services.windows import Window
from webmail.mailbox import INBOX
from webmail.mailbox.imap import ImapMailbox

MESSAGES = 100
#: Sent before any is counted.
WARM_UP = 5
WANTED_MS = 1000
WANTED_RATIO = 3
#: Between two messages, in seconds.
PAUSE_S = 0.2
PATIENCE_S = 60
#: Somebody whose mailbox nobody else looks into.
NOBODY = "did!plc!nobodynobodynobodynobody"


def figures(messages: int = MESSAGES) -> Iterator[str]:
    """One line; work and floor are measured in turn."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="waxwing-bench-"))
        network = stack.enter_context(LocalNetwork(Path(directory))).info
        dovecot = stack.enter_context(dovecot_server())
        settings = {**dovecot.dovecot.settings(), "WAXWING_UNDO_SECONDS": "0"}
        running = stack.enter_context(installed(settings, plc_url=network.plc_url, pds_url=network.pds_url))
        running.start()
        alice, bob = (Window(running.url, network.accounts[name]) for name in ("alice", "bob"))
        for window in (alice, bob):
            window.sign_in()
            window.enrol()
        conversation, mail = _begun(running, alice, bob)
        sending = _Sending(alice, conversation)
        page = stack.enter_context(_open_page(bob, conversation))
        port = stack.enter_context(_bare_server(dovecot))
        work: list[float] = []
        floor: list[float] = []
        for number in range(WARM_UP + messages):
            took = _seconds_of(sending, page, f"message {number} of those that are timed")
            took_at_least = _seconds_of_bare(port, mail)
            if number >= WARM_UP:
                work.append(took)
                floor.append(took_at_least)
            time.sleep(PAUSE_S)
        yield latency_line("e2e/deliver", work, floor, WANTED_MS, WANTED_RATIO, database="sqlite", clients=1)


def _begun(running: RunningInstallation, alice: Window, bob: Window) -> tuple[str, bytes]:
    """The path of a conversation in which both have written, and the mail that its first message became."""
    with _nobody_pulls(running, bob.did):
        conversation = alice.write([bob.did], "the first message of those that are timed")
        wait_until(lambda: running.mails(bob.did, INBOX), PATIENCE_S)
        (mail,) = running.mails(bob.did, INBOX)
    # With it the first one is pulled.
    alice.reply(conversation, "the second message")
    wait_until(lambda: conversation in bob.rows(), PATIENCE_S)
    bob.reply(conversation, "and its answer")
    wait_until(lambda: "and its answer" in alice.get(conversation), PATIENCE_S)
    return conversation, mail


@contextmanager
def _nobody_pulls(running: RunningInstallation, did: str) -> Iterator[None]:
    """What comes for somebody lies in their INBOX meanwhile: we hold the lock of its pull."""
    ((account,),) = running.sql("SELECT id FROM accounts_account WHERE did = ?", did)
    with redis.Redis.from_url(running.installation.redis_url) as client:
        client.set(f"pull:{account}", "bench", ex=int(PATIENCE_S))
        try:
            yield
        finally:
            client.delete(f"pull:{account}")


class _Sending:
    """What the composer of an open page does when somebody presses "send"."""

    def __init__(self, window: Window, conversation: str) -> None:
        self._window = window
        self._conversation = conversation
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', window.get(conversation))
        assert token
        self._token = token[1]

    def send(self, text: str) -> None:
        answer = self._window.client.post(
            f"{self._conversation}send/",
            data={"csrfmiddlewaretoken": self._token, "text": text, "token": str(uuid4())},
            headers={"HX-Request": "true"},
        )
        assert answer.status_code == httpx.codes.OK, answer.text


@dataclass
class _Page:
    """Somebody's open conversation: its newest messages, and what was waited for."""

    window: Window
    conversation: str
    #: The fields of the messages that the page shows, which it sends along.
    shown: list[str]
    #: Of the news: when they were there, and their words.
    came: threading.Condition
    news: list[tuple[float, str]]

    def hear(self, lines: Iterator[str]) -> None:
        """Asks for news at each event that names the conversation, until the stream ends."""
        event = f"event: conversation:{self.conversation.strip('/').rpartition('/')[2]}"
        for line in lines:
            if line == event:
                self._ask()

    def wait_for(self, text: str) -> float:
        """When the page showed the text."""
        with self.came:
            assert self.came.wait_for(lambda: any(text in words for _at, words in self.news), PATIENCE_S), (
                text
            )
            return next(at for at, words in self.news if text in words)

    def _ask(self) -> None:
        answer = self.window.client.get(
            f"{self.conversation}news/",
            params={"shown": self.shown[-80:], "seen": "1"},
            headers={"HX-Request": "true"},
        )
        at = time.perf_counter()
        assert answer.status_code in (httpx.codes.OK, httpx.codes.NO_CONTENT), answer.text
        self.shown += _shown_in(answer.text)
        with self.came:
            self.news.append((at, answer.text))
            self.came.notify_all()


@contextmanager
def _open_page(window: Window, conversation: str) -> Iterator[_Page]:
    page = _Page(window, conversation, _shown_in(window.get(conversation)), threading.Condition(), [])
    with window.client.stream("GET", "/events/", timeout=None) as stream:
        lines = stream.iter_lines()
        assert "event: ready" in (next(lines), next(lines))

        def hear() -> None:
            # Its end is ours: the connection is closed under it.
            try:
                page.hear(lines)
            except (httpx.HTTPError, httpx.StreamError):
                return

        listening = threading.Thread(target=hear, daemon=True)
        listening.start()
        yield page


def _shown_in(html: str) -> list[str]:
    return [
        unescape(value[1])
        for field in re.findall(r'<input[^>]*class="shown"[^>]*>', html)
        if (value := re.search(r'value="([^"]*)"', field))
    ]


def _seconds_of(sending: _Sending, page: _Page, text: str) -> float:
    started = time.perf_counter()
    sending.send(text)
    return page.wait_for(text) - started


def _seconds_of_bare(port: int, mail: bytes) -> float:
    started = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as connection:
        connection.sendmail("", ["nobody@localhost"], mail)
    return time.perf_counter() - started


class _Appending:
    """Answers a mail once it lies in a mailbox, by an IMAP connection of its own as the ingress does."""

    def __init__(self, dovecot: DovecotServer) -> None:
        self._dovecot = dovecot

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        url = urlsplit(self._dovecot.url)
        with ImapMailbox(url, NOBODY, self._dovecot.token_key) as mailbox:
            mailbox.append(INBOX, envelope.original_content)
        return "250 kept"


@contextmanager
def _bare_server(dovecot: DovecotServer) -> Iterator[int]:
    port = free_port()
    controller = Controller(_Appending(dovecot), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()
