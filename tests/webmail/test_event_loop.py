"""Two processes of uvicorn on one socket, with the loop that deployments give them."""

import asyncio
import errno
import http.client
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from demo.ports import accepts_connections, free_port
from demo.processes import ProcessSpec, inherited_environment, start
from webmail import event_loop
from webmail.event_loop import SharingLoop

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENTS = 12


async def application(
    scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Tells which process answers."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    chosen = free_port()
    running = start(
        ProcessSpec(
            name="web",
            command=(
                *(sys.executable, "-m", "uvicorn", f"{__name__}:application", "--port", str(chosen)),
                *("--workers", "2", "--lifespan", "off", "--loop", "webmail.event_loop:SharingLoop"),
            ),
            environment=inherited_environment(),
            directory=ROOT,
            is_ready=partial(accepts_connections, chosen),
        ),
        tmp_path_factory.mktemp("logs") / "web.log",
    )
    try:
        running.wait_until_ready()
        yield chosen
    finally:
        running.stop()


def test_connections_that_come_at_the_same_time_are_shared(port: int) -> None:
    _all_processes_answer(port)
    most = []
    for _ in range(11):
        answered = _at_the_same_time(port)
        assert sum(answered.values()) == CLIENTS
        most.append(max(answered.values()))
    # Now and then a process does not get to run meanwhile.
    assert median(most) <= CLIENTS * 3 / 4


def test_a_connection_sends_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def no_delay() -> int:
        loop = asyncio.get_running_loop()
        connected: asyncio.Future[asyncio.BaseTransport] = loop.create_future()

        class Connection(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connected.set_result(transport)

        # As uvicorn makes the socket that its processes share; asyncio knows others by their protocol.
        with closing(socket.socket(socket.AF_INET)) as listener:
            listener.bind(("127.0.0.1", 0))
            async with await loop.create_server(Connection, sock=listener):
                with socket.create_connection(listener.getsockname()):
                    transport = await asyncio.wait_for(connected, 30)
                with closing(transport):
                    peer = transport.get_extra_info("socket")
                    return int(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with asyncio.Runner(loop_factory=SharingLoop) as runner:
        assert runner.run(no_delay()) == 1
    assert not caplog.records


def test_a_connection_that_can_not_be_served_keeps_nobody_out() -> None:
    async def served() -> bytes:
        broken = iter([True])

        class Connection(asyncio.Protocol):
            def __init__(self) -> None:
                assert not next(broken, False)

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                transport.write(b"hello")
                transport.close()

        with closing(socket.socket(socket.AF_INET)) as listener:
            listener.bind(("127.0.0.1", 0))
            host, port = listener.getsockname()
            async with await asyncio.get_running_loop().create_server(Connection, sock=listener):
                read = []
                for _ in range(2):
                    reader, writer = await asyncio.open_connection(host, port)
                    read.append(await asyncio.wait_for(reader.read(), 30))
                    writer.close()
        return b"".join(read)

    with asyncio.Runner(loop_factory=SharingLoop) as runner:
        assert runner.run(served()) == b"hello"


def test_an_error_of_taking_a_connection_is_not_the_last_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "PAUSE_AFTER_ERROR_S", 0.0)
    accept = socket.socket.accept
    errors = iter([OSError(errno.EMFILE, "no room"), OSError(errno.EPROTO, "of the network")])

    def failing(listener: socket.socket) -> Any:
        if error := next(errors, None):
            raise error
        return accept(listener)

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()

    async def served() -> bytes:
        with closing(socket.socket(socket.AF_INET)) as listener:
            listener.bind(("127.0.0.1", 0))
            async with await asyncio.get_running_loop().create_server(Connection, sock=listener):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                try:
                    return await asyncio.wait_for(reader.read(), 10)
                finally:
                    writer.close()

    monkeypatch.setattr(socket.socket, "accept", failing)
    with asyncio.Runner(loop_factory=SharingLoop) as runner:
        assert runner.run(served()) == b""
    assert next(errors, None) is None


def _at_the_same_time(port: int) -> Counter[bytes]:
    """How many of the clients, all connected before any asks, each process answered."""
    begin = threading.Barrier(CLIENTS)
    answered: Counter[bytes] = Counter()

    def ask() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.connect()
            begin.wait(30)
            connection.request("GET", "/")
            answered[connection.getresponse().read()] += 1

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answered


def _all_processes_answer(port: int) -> None:
    """One may be ready before the other."""
    for _ in range(100):
        if len(_at_the_same_time(port)) == 2:
            return
    raise AssertionError("one process answers all")
