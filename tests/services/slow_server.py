"""A server that takes its time with every answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SlowServer:
    """Its ports, each of which is another host to those who ask, and what was asked of it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[str] = []
        self.ports: list[int] = []
        self._over = threading.Event()
        self._servers: list[ThreadingHTTPServer] = []

    def did(self, number: int = 0) -> str:
        """A did:web whose document it would have."""
        return f"did:web:localhost%3A{self.ports[number]}"

    def listen(self) -> None:
        """At one more port."""
        slow = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                slow.asked.append(self.path)
                slow._over.wait(slow.seconds)
                self.send_error(503)

            def log_message(self, *_arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self._servers.append(server)
        self.ports.append(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()


@contextmanager
def slow_server(seconds: float, *, hosts: int = 1) -> Iterator[SlowServer]:
    """Answers nobody before so many seconds have passed."""
    server = SlowServer(seconds)
    for _ in range(hosts):
        server.listen()
    try:
        yield server
    finally:
        server.close()
