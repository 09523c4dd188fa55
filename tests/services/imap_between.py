"""An IMAP server in front of another one, whose answers it changes."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def imap_between(url: str, change: Callable[[bytes], bytes]) -> Iterator[str]:
    """Passes everything on to the server at `url`, each line of its answers as `change` makes it; yields the
    URL of its own."""
    behind = urlsplit(url)

    class Between(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((behind.hostname, behind.port)) as server:
                asking = threading.Thread(target=_copy, args=(self.connection, server), daemon=True)
                asking.start()
                for line in server.makefile("rb"):
                    self.wfile.write(change(line))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Between) as between:
        between.daemon_threads = True
        threading.Thread(target=between.serve_forever, daemon=True).start()
        yield behind._replace(netloc=f"127.0.0.1:{between.server_address[1]}").geturl()
        between.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while octets := source.recv(65536):
            target.sendall(octets)
        target.shutdown(socket.SHUT_WR)
