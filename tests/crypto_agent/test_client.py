"""The client by itself: its threads, its forks, its batches, and what it makes of odd answers."""

import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from crypto_agent import client_json
from crypto_agent.client import (
    BATCH_BYTES,
    AgentClient,
    AgentError,
    AgentRefused,
    AgentSealed,
    AgentUnavailable,
    Device,
    transport,
)
from tests.crypto_agent.people import ALICE, BOB, WRITTEN_AT
from tests.crypto_agent.running_agent import Agent


def test_one_client_serves_many_threads(web: AgentClient, devices: dict[str, Device]) -> None:
    def ask(number: int) -> str | None:
        composed = web.compose(ALICE, [BOB], f"number {number}", created_at=WRITTEN_AT)
        return web.read(ALICE, [composed.content])[0].text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(40))) == [f"number {number}" for number in range(40)]


def _ask_in_child(client: AgentClient, answers: "multiprocessing.Queue[str]") -> None:
    answers.put(client.list_devices(ALICE)[0].did)


def test_a_client_made_before_a_fork_works_after_it(web: AgentClient, devices: dict[str, Device]) -> None:
    forking = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[str] = forking.Queue()
    children = [forking.Process(target=_ask_in_child, args=(web, answers)) for _ in range(3)]
    for child in children:
        child.start()
    for _ in range(5):
        assert web.list_devices(BOB)[0].did == BOB
    assert [answers.get(timeout=20) for _ in children] == [ALICE] * 3
    for child in children:
        child.join()


def test_a_closed_client_opens_new_connections(agent: Agent) -> None:
    client = agent.client()
    assert client.status().state == "open"
    client.close()
    assert client.status().state == "open"
    client.close()


@pytest.mark.usefixtures("devices")
def test_large_envelopes_are_sent_in_several_calls(agent: Agent) -> None:
    worker = agent.client("worker")
    envelope = bytes(131_072)
    count = BATCH_BYTES // len(envelope) * 2 + 1
    opened = worker.open(ALICE, [envelope] * count)
    assert len(opened) == count
    assert len(worker.answers) == 3


def test_nothing_asked_is_nothing_sent(agent: Agent) -> None:
    worker = agent.client("worker")
    assert worker.open(ALICE, []) == []
    assert worker.read(ALICE, []) == []
    assert worker.archive(ALICE, []) == []
    assert worker.read_archive(ALICE, []) == []
    assert worker.answers == []


def test_what_only_looks_like_bytes_stays_as_it_is() -> None:
    odd = {"a": {"$bytes": 1}, "b": [{"$bytes": "*"}, {"$bytes": "AQ", "x": 1}], "c": {"$bytes": "AQ"}}
    assert client_json.plain_value(odd) == {**odd, "c": b"\x01"}


class _Odd(BaseHTTPRequestHandler):
    """A server that is no agent: it answers what its path's last part names."""

    answers = {
        "html": (502, b"<html>Bad gateway</html>"),
        "list": (500, b"[]"),
        "null": (400, b"null"),
        "sealed": (503, json.dumps({"error": "AgentSealed", "message": "m"}).encode()),
        "refused": (400, json.dumps({"error": "NoSuchDevice", "message": "m"}).encode()),
        "unknown": (501, json.dumps({"error": "MethodNotImplemented"}).encode()),
    }

    def do_GET(self) -> None:
        status, body = self.answers[self.path.split("/")[1]]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def odd_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("odd", "kind", "code"),
    [
        ("html", AgentUnavailable, "Http502"),
        ("list", AgentUnavailable, "Http500"),
        ("null", AgentRefused, "Http400"),
        ("sealed", AgentSealed, "AgentSealed"),
        ("refused", AgentRefused, "NoSuchDevice"),
        ("unknown", AgentRefused, "MethodNotImplemented"),
    ],
)
def test_errors_are_typed(odd_url: str, odd: str, kind: type[AgentError], code: str) -> None:
    client = AgentClient(f"{odd_url}/{odd}", "secret of thirty-two characters!", "web")
    with pytest.raises(AgentError) as raised:
        client.status()
    assert type(raised.value) is kind
    assert raised.value.code == code


class _Busy(BaseHTTPRequestHandler):
    """An agent that takes in a call only after a while, and keeps connections."""

    protocol_version = "HTTP/1.1"
    late_s = 1.0
    connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1

    def do_POST(self) -> None:
        time.sleep(self.late_s)
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b'{"opened": []}')

    def do_GET(self) -> None:
        self._answer(b'{"state": "open", "version": "1", "alarms": 0}')

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentClient]:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_S", 0.2)
    _Busy.connections = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Busy)
    Thread(target=server.serve_forever, daemon=True).start()
    client = AgentClient(
        f"http://127.0.0.1:{server.server_port}", "secret of thirty-two characters!", "worker"
    )
    yield client
    client.close()
    server.shutdown()
    server.server_close()


def test_an_agent_that_is_busy_has_time_to_take_in_a_call(busy: AgentClient) -> None:
    # More than the sockets' buffers take.
    assert busy.open(ALICE, [bytes(131_072)] * 60) == []
    assert busy.open(ALICE, [bytes(131_072)] * 60) == []
    assert _Busy.connections == 1


def test_a_connection_that_the_agent_may_just_be_closing_is_not_used_again(
    busy: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        busy.status()
    assert _Busy.connections == 1
    monkeypatch.setattr(transport, "LONGEST_UNUSED_S", 0.0)
    busy.status()
    assert _Busy.connections == 2
