"""Gives the operator's passphrase to a running agent, over a Unix socket that only its own user can reach.

The passphrase goes neither through the network, nor through arguments or the environment. One line in,
one line out: ``open``, ``wrong``, ``absent``, ``no-database``, or ``no-record`` where the audit log can't be
written.
"""

import logging
import os
import socket
import struct
import threading
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from crypto_agent import audit
from crypto_agent.errors import AuditUnavailable, Sealed, WrongPassphrase
from crypto_agent.key_store import operator_key_source
from crypto_agent.operator_keys.passphrase import LONGEST_PASSPHRASE, PassphraseSource

log = logging.getLogger(__name__)

TIMEOUT_S = 10
#: The kernel's answer to SO_PEERCRED: process, user and group of the other end.
_PEER = struct.Struct("3i")


class NobodyListens(Exception):
    """No agent takes a passphrase at the socket."""


def listen_if_needed() -> None:
    """Starts the listener's thread if the passphrase has to be given to the running agent."""
    if isinstance(operator_key_source, PassphraseSource) and operator_key_source.waits_for_command:
        listener = bound(settings.UNSEAL_SOCKET)
        threading.Thread(target=serve, args=(listener, operator_key_source), daemon=True).start()


def bound(path: Path) -> socket.socket:
    """A listening socket at ``path``, in place of one that an agent before left there."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(4)
    return listener


def serve(listener: socket.socket, source: PassphraseSource) -> None:
    """Answers one after the other, for as long as the process lives."""
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.settimeout(TIMEOUT_S)
                connection.sendall(_answer(connection, source) + b"\n")
            except OSError as error:
                log.warning("unsealing was cut off: %s", type(error).__name__)


def give(path: Path, passphrase: bytes) -> str:
    """Gives the passphrase to the agent at ``path``; its answer. Raises NobodyListens."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            # Deriving the key takes a while for each of its versions.
            connection.settimeout(6 * TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(passphrase + b"\n")
            return connection.makefile("rb").readline(16).decode("ascii", "replace").strip()
    except OSError as error:
        raise NobodyListens(type(error).__name__) from error


def _answer(connection: socket.socket, source: PassphraseSource) -> bytes:
    _, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    if user not in (os.getuid(), 0):
        return b"refused"
    line = connection.makefile("rb").readline(LONGEST_PASSPHRASE + 2)
    close_old_connections()
    try:
        source.unseal(line.rstrip(b"\r\n"), _put_on_record)
    except WrongPassphrase:
        log.error("somebody gave a wrong passphrase")
        return b"wrong"
    except Sealed:
        return b"absent"
    except AuditUnavailable:
        log.error("the agent stays as it was, since the audit log can't be written")
        return b"no-record"
    except DatabaseError:
        return b"no-database"
    finally:
        close_old_connections()
    log.info("the agent is unsealed")
    return b"open"


def _put_on_record() -> None:
    audit.append(audit.by_command("unseal", 1, timezone.now()))
