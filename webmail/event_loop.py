"""The event loop of a web process, for a TCP socket that several processes serve."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

log = logging.getLogger(__name__)

ProtocolFactory = Callable[[], asyncio.BaseProtocol]

#: How long a process leaves a new connection to the others, for each that it has, and at most.
PAUSE_S = 0.0005
LONGEST_PAUSE_S = 0.005
#: Until another try after one that failed.
PAUSE_AFTER_ERROR_S = 1.0


class SharingLoop(asyncio.SelectorEventLoop):
    """asyncio's own, but that the processes share connections evenly, and that each answer leaves at once.

    asyncio takes whatever waits as soon as it can. Of connections that come at the same time, as those of a
    reverse proxy do, which keeps them, one process mostly gets all; the others then have nothing to do.
    """

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: ProtocolFactory,
        *,
        sock: socket.socket | None = None,
        backlog: int = 100,
        **options: Any,
    ) -> asyncio.Server:
        """Serves on ``sock``, a bound TCP socket, where up to ``backlog`` connections may wait.

        Without one it makes its own, which no other process has: that is left to asyncio.
        """
        if sock is None:
            return await super().create_server(protocol_factory, backlog=backlog, **options)
        server = await super().create_server(protocol_factory, sock=sock, start_serving=False, **options)
        # Connections have it from the socket that they come in at. An answer is written in two pieces, its
        # head and its body: the kernel would keep back the second until the other end acknowledges the first,
        # which may take that end 40 ms (RFC 896, RFC 1122 §4.2.3.2). Of its own sockets asyncio sees to it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.listen(backlog)
        accepting = self.create_task(self._accept(protocol_factory, sock))
        accepting.add_done_callback(_say_why)
        return server

    async def _accept(self, protocol_factory: ProtocolFactory, sock: socket.socket) -> None:
        """Takes connections until the socket is closed; the later, the more there are."""
        transports: WeakSet[asyncio.BaseTransport] = WeakSet()
        while sock.fileno() >= 0:
            await self._readable(sock)
            await asyncio.sleep(min(PAUSE_S * len(transports), LONGEST_PAUSE_S))
            try:
                connection, _ = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                # Another process has it, or it is gone.
                continue
            except OSError as error:
                if sock.fileno() < 0:
                    return
                # Such as no room for another one, in this process or the machine.
                log.error("no connection could be taken: %s", errno.errorcode.get(error.errno or 0))
                await asyncio.sleep(PAUSE_AFTER_ERROR_S)
                continue
            connection.setblocking(False)
            try:
                transport, _ = await self.connect_accepted_socket(protocol_factory, connection)
            except Exception as error:
                # One connection that can't be served must not keep the process from taking others.
                log.error("a connection could not be served: %s", type(error).__name__)
                connection.close()
            else:
                transports.add(transport)

    async def _readable(self, sock: socket.socket) -> None:
        """Ends as soon as something waits at the socket."""
        ready = asyncio.Event()
        self.add_reader(sock, ready.set)
        try:
            await ready.wait()
        finally:
            # A socket that was closed meanwhile has none any more.
            if sock.fileno() >= 0:
                self.remove_reader(sock)


def _say_why(accepting: asyncio.Task[None]) -> None:
    if not accepting.cancelled() and (error := accepting.exception()) is not None:
        log.error("no more connections are taken: %s", type(error).__name__)
