"""Carrying envelopes by SMTP (RFC 5321), each as one attachment of a minimal mail (protocol §7)."""

import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import Protocol
from urllib.parse import unquote, urlsplit

import httpx
from django.conf import settings

from outbound import OutboundError, allowed_addresses
from webmail.mailbox.envelope_mail import (
    EnvelopeError,
    base64_lines,
    content_type_of,
    disposition_of,
    read_envelope,
)

from .bounces import bounce_local_part
from .mail_servers import MailServersError, mail_servers
from .outcomes import Accepted, Deferred, Outcome, Refused, outcome_of_smtp, printable

CONNECT_SECONDS = 10.0
#: RFC 5321 §4.5.3.2 would have minutes; a worker has better things to do, and tries again later.
REPLY_SECONDS = 30.0
#: How many of a domain's servers are tried in one round.
MAX_SERVERS = 4

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
# A dot-atom (RFC 5321 §4.1.2).
_LOCAL_PART = re.compile(r"[!#-'*+\--9=?A-Z^-~]{1,64}")


class SmtpDestination(Protocol):
    @property
    def target(self) -> str: ...

    @property
    def address(self) -> str | None: ...


@dataclass(frozen=True)
class Server:
    """Where to connect. `guarded` is False only for this installation's own relay, which may be private."""

    host: str
    port: int
    guarded: bool = True
    relay: bool = False


class SmtpAddressError(ValueError):
    """A route whose address or server can't be used in SMTP."""


def deliver(route: SmtpDestination, envelopes: Sequence[bytes], *, bounce_token: str) -> list[Outcome]:
    """Send each envelope as a mail to `route.address`, all over one connection; one outcome each, in order.

    Through settings.SMTP_RELAY_URL if that is set and the route names no port of its own; else to the host of
    the route, or to the mail servers of the address's domain. TLS is used whenever it is offered, with a
    verified certificate if there is one; which it was is in the outcome. The envelope's sender is an opaque
    address for `bounce_token` (see bounces.py). Raises nothing for what the network does.
    """
    if not envelopes:
        return []
    try:
        recipient = checked_address(route.address or "")
        servers = servers_of(route.target, recipient)
    except SmtpAddressError as error:
        return [Refused("bad-address", str(error)) for _ in envelopes]
    except MailServersError as error:
        problem = Deferred(error.code, str(error)) if error.passing else Refused(error.code, str(error))
        return [problem for _ in envelopes]
    sender = f"{bounce_local_part(bounce_token, settings.SECRET_KEY)}@{settings.MAIL_DOMAIN}"
    answers: list[Outcome] = []
    for server in servers[:MAX_SERVERS]:
        answers = _send_all(server, sender, recipient, envelopes)
        if not isinstance(answers[0], Deferred) or answers[0].code not in (
            "server-unreachable",
            "server-trouble",
        ):
            break
    return answers


def checked_address(address: str) -> str:
    """The address, if it can stand in an SMTP command as it is; raises SmtpAddressError."""
    local, _, domain = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or not _HOST.fullmatch(domain) or ".." in domain:
        raise SmtpAddressError("the mail address can't be used")
    return address


def servers_of(target: str, address: str) -> list[Server]:
    """The servers to try in turn, for a route's target: `smtp://host[:port]`, `mailto:…`, or a domain.

    Raises SmtpAddressError or MailServersError.
    """
    host, port = _named_server(target)
    if settings.SMTP_RELAY_URL and port in (None, 25):
        relay = urlsplit(settings.SMTP_RELAY_URL)
        return [Server(relay.hostname or "localhost", relay.port or 25, guarded=False, relay=True)]
    if host is not None:
        return [Server(host, port or 25)]
    domain = address.rpartition("@")[2]
    return [Server(name, 25) for name in mail_servers(domain)]


def mail_to_send(envelope: bytes, *, recipient: str, mail_domain: str, now: datetime) -> bytes:
    """The mail that carries an envelope to another server: what RFC 5322 requires, and nothing of the sender.

    Raises EnvelopeError. The recipient has passed checked_address.
    """
    read = read_envelope(envelope)
    header = (
        f"From: Sealed mail <no-reply@{mail_domain}>\r\n"
        f"To: <{recipient}>\r\n"
        f"Date: {format_datetime(now.replace(microsecond=0))}\r\n"
        f"Message-ID: <{read.envelope_id}@{mail_domain}>\r\n"
        "Subject: Sealed message\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        f"Content-Type: {content_type_of(read)}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: {disposition_of(read)}\r\n"
        "\r\n"
    )
    return header.encode("ascii") + base64_lines(envelope)


def _named_server(target: str) -> tuple[str | None, int | None]:
    if not target.startswith("smtp://"):
        return None, None
    try:
        url = urlsplit(target)
        host, port = unquote(url.hostname or ""), url.port
    except ValueError as error:
        raise SmtpAddressError("the mail server's address can't be used") from error
    if not _HOST.fullmatch(host) or ".." in host or url.username or url.path not in ("", "/") or port == 0:
        raise SmtpAddressError("the mail server's address can't be used")
    return host, port


class _Connection(smtplib.SMTP):
    """smtplib's client, connecting only to addresses that were checked, as they were checked."""

    def __init__(self, server: Server) -> None:
        self._server = server
        # Not the machine's own name: that is nobody's business.
        super().__init__(local_hostname=settings.MAIL_DOMAIN or "localhost", timeout=REPLY_SECONDS)
        # The name for which smtplib has the certificate verified.
        self._host = server.host

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        addresses = allowed_addresses(host, port) if self._server.guarded else [host]
        failure: OSError | None = None
        for address in addresses:
            try:
                connection = socket.create_connection((address, port), CONNECT_SECONDS)
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


def _send_all(server: Server, sender: str, recipient: str, envelopes: Sequence[bytes]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        connection, security = _connect(server)
    except smtplib.SMTPResponseException as error:
        return [_answer(error.smtp_code, error.smtp_error) for _ in envelopes]
    except OutboundError as error:
        return [Refused("forbidden-address", str(error)) for _ in envelopes]
    except (OSError, httpx.ConnectError) as error:
        return [Deferred("server-unreachable", _reason(error)) for _ in envelopes]
    try:
        for envelope in envelopes:
            outcomes.append(_send(connection, sender, recipient, envelope, security, server.relay))
        with suppress(OSError):
            connection.quit()
    except OSError as error:
        broken = Deferred("server-unreachable", _reason(error))
        outcomes += [broken] * (len(envelopes) - len(outcomes))
    finally:
        connection.close()
    return outcomes


def _connect(server: Server) -> tuple[_Connection, str]:
    """A greeted connection, and how it is protected. The relay on one's own machine needs no TLS."""
    connection = _greeted(server)
    if not connection.has_extn("starttls"):
        return connection, "no TLS"
    try:
        _start_tls(connection, _verifying())
    except ssl.SSLError:
        # The certificate does not verify, and with it went the connection.
        connection.close()
        connection = _greeted(server)
        _start_tls(connection, _opportunistic())
        return connection, f"{_tls_version(connection)}, certificate not verified"
    return connection, f"{_tls_version(connection)}, certificate verified"


def _greeted(server: Server) -> _Connection:
    connection = _Connection(server)
    try:
        code, text = connection.connect(server.host, server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        connection.ehlo_or_helo_if_needed()
    except BaseException:
        connection.close()
        raise
    return connection


def _start_tls(connection: _Connection, context: ssl.SSLContext) -> None:
    try:
        code, text = connection.starttls(context=context)
        if code != 220:
            raise smtplib.SMTPResponseException(code, text)
        connection.ehlo_or_helo_if_needed()
    except BaseException:
        connection.close()
        raise


def _tls_version(connection: _Connection) -> str:
    encrypted = connection.sock
    return (encrypted.version() if isinstance(encrypted, ssl.SSLSocket) else None) or "TLS"


def _send(
    connection: _Connection, sender: str, recipient: str, envelope: bytes, security: str, relay: bool
) -> Outcome:
    """One mail transaction. Raises OSError when the connection is of no more use."""
    try:
        mail = mail_to_send(
            envelope, recipient=recipient, mail_domain=settings.MAIL_DOMAIN, now=datetime.now(UTC)
        )
    except EnvelopeError as error:
        return Refused("too-large" if error.code == "too-large" else "not-understood", str(error))
    options = [f"size={len(mail)}"] if connection.has_extn("size") else []
    steps: list[Callable[[], tuple[int, bytes]]] = [
        lambda: connection.mail(sender, options),
        lambda: connection.rcpt(recipient),
        lambda: connection.data(mail),
    ]
    for step in steps:
        try:
            code, text = step()
        except smtplib.SMTPResponseException as error:
            code, text = error.smtp_code, _octets(error.smtp_error)
        outcome = _answer(code, text, security, relay)
        if not isinstance(outcome, Accepted):
            if code == 421:
                raise smtplib.SMTPServerDisconnected(outcome.reply)
            with suppress(OSError):
                connection.rset()
            return outcome
    return outcome


def _answer(code: int, text: bytes | str, security: str = "", relay: bool = False) -> Outcome:
    words = _octets(text).decode("utf-8", "replace")
    return outcome_of_smtp(code, words, security=security, relayed=relay)


def _octets(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _reason(error: Exception) -> str:
    return printable(str(error)) or type(error).__name__
