"""Ports on this machine's loopback address."""

import fcntl
import os
import secrets
import socket
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

#: Ports for passing use: below those that the system gives to outgoing connections.
PASSING = range(20_000, 32_000)
#: Those that this process was given.
_given: set[int] = set()


class PortInUse(Exception):
    """Something else listens where one of our processes should; says which variable moves it."""

    def __init__(self, port: int, purpose: str, variable: str) -> None:
        self.port = port
        self.variable = variable
        super().__init__(
            f"Port {port}, for {purpose}, is in use by another program: stop that program, or choose"
            f" another port with {variable}={port + 100}."
        )


def free_port() -> int:
    """A TCP port of the loopback address on which nothing listens, and that nobody else was given.

    Whoever is given one takes a while to listen on it: until this process ends, it is given to no other.
    """
    while True:
        port = secrets.choice(PASSING)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                fcntl.lockf(_register(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


@cache
def _register() -> int:
    """A file of this user whose bytes stand for ports; a process locks those that it was given."""
    path = Path(tempfile.gettempdir()) / f"waxwing-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def check_free(port: int, purpose: str, variable: str) -> None:
    """Raises PortInUse if the port can't be listened on."""
    with socket.socket() as probe:
        # As servers do, so that connections of a run that just ended don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise PortInUse(port, purpose, variable) from None


def accepts_connections(port: int) -> bool:
    """Whether something on the loopback address answers on the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class BadPort(Exception):
    """A variable that should hold a port does not; the message is for a person."""


def chosen_port(environment: Mapping[str, str], variable: str, default: int) -> int:
    """The port that the variable holds, or the default. Raises BadPort."""
    value = environment.get(variable) or str(default)
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65_535):
        raise BadPort(f"{variable} must be a port, a number from 1 to 65535, not {value!r}.")
    return int(value)
