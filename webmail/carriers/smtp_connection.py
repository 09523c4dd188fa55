"""A connection to a mail server (RFC 5321): where to, how protected, and for how long."""

import io
import re
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

from outbound import addresses_of, allowed_addresses

#: To find a server's addresses, to connect to one of them, and to all of them together.
LOOKUP_SECONDS = 10.0
CONNECT_SECONDS = 10.0
ALL_ADDRESSES_SECONDS = 30.0
#: RFC 5321 §4.5.3.2 would have minutes; a worker has better things to do, and tries again later.
REPLY_SECONDS = 30.0
#: What is given to the network in one go, and may take REPLY_SECONDS.
_CHUNK = 16_384
#: RFC 5321 §4.5.3.1.5 has lines of 512; a greeting of EHLO has some dozens.
MAX_REPLY_OCTETS = 65_536


@dataclass(frozen=True)
class Server:
    """Where to connect. `guarded` is False only for this installation's own relay, which may be private."""

    host: str
    port: int
    guarded: bool = True
    relay: bool = False


@dataclass(frozen=True)
class Patience:
    """For a mail that must not be sent twice.

    `until`, of time.monotonic(), is the end of all before its final dot; `reply_seconds` may then pass until
    the server has said whether it takes the mail.
    """

    until: float
    reply_seconds: float


class ReplyLost(smtplib.SMTPServerDisconnected):
    """The server was given all of a mail, final dot included, and did not say whether it takes it."""


class _Replies(io.RawIOBase):
    """What a server says, each reply until a moment and no longer: octet by octet it could go on for ever."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = 0.0
        self._left = 0

    def begin(self, until: float) -> None:
        self._until, self._left = until, MAX_REPLY_OCTETS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_seconds_until(self._until))
        count = self._connection.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise OSError("the server's reply has no end")
        return count


def _seconds_until(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the server took too long")
    return left


class Connection(smtplib.SMTP):
    """smtplib's client, connecting only to addresses that were checked, as they were checked."""

    def __init__(self, server: Server, patience: Patience | None = None) -> None:
        self._server = server
        self._patience = patience
        self._replies: _Replies | None = None
        # Not the machine's own name: that is nobody's business.
        super().__init__(local_hostname=settings.MAIL_DOMAIN or "localhost", timeout=REPLY_SECONDS)
        # The name for which smtplib has the certificate verified.
        self._host = server.host

    def getreply(self) -> tuple[int, bytes]:
        return self._reply_within(self._seconds(REPLY_SECONDS))

    def send(self, s: Any) -> None:
        if self._patience is None:
            # All of it within REPLY_SECONDS.
            super().send(s)
            return
        octets = s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)
        for at in range(0, len(octets), _CHUNK):
            if self.sock is not None:
                self.sock.settimeout(self._seconds(REPLY_SECONDS))
            super().send(octets[at : at + _CHUNK])

    def data(self, msg: Any) -> tuple[int, bytes]:
        """As smtplib's. With patience `msg` is octets with CRLF, and ReplyLost says that it may be there."""
        if self._patience is None:
            return super().data(msg)
        code, text = self.docmd("DATA")
        if code != 354:
            raise smtplib.SMTPDataError(code, text)
        # RFC 5321 §4.5.2.
        self.send(re.sub(rb"(?m)^\.", b"..", msg) + (b"" if msg.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        try:
            code, text = self._reply_within(self._patience.reply_seconds)
        except OSError as error:
            raise ReplyLost(str(error)) from error
        if code // 100 not in (2, 4, 5):
            raise ReplyLost("no reply of SMTP")
        return code, text

    def _reply_within(self, seconds: float) -> tuple[int, bytes]:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        if self.file is None or self._replies is None:
            # New, or TLS has begun: nothing that was read before it counts.
            self._replies = _Replies(self.sock)
            self.file = io.BufferedReader(self._replies)
        self._replies.begin(time.monotonic() + seconds)
        reply = super().getreply()
        # For what is done with the connection next, such as beginning TLS.
        self.sock.settimeout(REPLY_SECONDS)
        return reply

    def _seconds(self, most: float) -> float:
        return most if self._patience is None else min(most, _seconds_until(self._patience.until))

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        found = allowed_addresses if self._server.guarded else addresses_of
        addresses = found(host, port, seconds=self._seconds(LOOKUP_SECONDS))
        until = time.monotonic() + ALL_ADDRESSES_SECONDS
        failure: OSError | None = None
        for address in addresses:
            try:
                seconds = self._seconds(min(CONNECT_SECONDS, _seconds_until(until)))
                connection = socket.create_connection((address, port), seconds)
            except OSError as error:
                failure = error
                continue
            connection.settimeout(timeout)
            return connection
        raise failure or OSError("no address")


@cache
def _verifying() -> ssl.SSLContext:
    return ssl.create_default_context()


@cache
def _opportunistic() -> ssl.SSLContext:
    """Encrypts to whoever answers (RFC 7435): many mail servers have no certificate that can be verified."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(server: Server, patience: Patience | None = None) -> tuple[Connection, str]:
    """A greeted connection, and how it is protected. The relay on one's own machine needs no TLS.

    Raises OSError, which smtplib's errors are, OutboundError, and httpx.ConnectError or ConnectTimeout for a
    name that is not found, or not in time.
    """
    connection = _greeted(server, patience)
    if not connection.has_extn("starttls"):
        return connection, "no TLS"
    try:
        _start_tls(connection, _verifying())
    except ssl.SSLError:
        # The certificate does not verify, and with it went the connection.
        connection.close()
        connection = _greeted(server, patience)
        _start_tls(connection, _opportunistic())
        return connection, f"{_tls_version(connection)}, certificate not verified"
    return connection, f"{_tls_version(connection)}, certificate verified"


def _greeted(server: Server, patience: Patience | None) -> Connection:
    connection = Connection(server, patience)
    try:
        code, text = connection.connect(server.host, server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        connection.ehlo_or_helo_if_needed()
    except BaseException:
        connection.close()
        raise
    return connection


def _start_tls(connection: Connection, context: ssl.SSLContext) -> None:
    try:
        code, text = connection.starttls(context=context)
        if code != 220:
            raise smtplib.SMTPResponseException(code, text)
        connection.ehlo_or_helo_if_needed()
    except BaseException:
        connection.close()
        raise


def _tls_version(connection: Connection) -> str:
    encrypted = connection.sock
    return (encrypted.version() if isinstance(encrypted, ssl.SSLSocket) else None) or "TLS"
