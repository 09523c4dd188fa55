"""Carrying by SMTP (RFC 5321): envelopes, each attached to a minimal mail (protocol §7), and whole mails."""

import re
import smtplib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol
from urllib.parse import unquote, urlsplit

import httpx
from django.conf import settings

from outbound import OutboundError
from webmail.mailbox.envelope_mail import (
    EnvelopeError,
    base64_lines,
    content_type_of,
    disposition_of,
    read_envelope,
)

from .bounces import bounce_local_part
from .local_parts import LOCAL_PART, is_beyond_ascii
from .mail_servers import MailServersError, mail_servers
from .outcomes import Accepted, Deferred, Outcome, Refused, Uncertain, outcome_of_smtp, printable
from .smtp_connection import Connection, Patience, ReplyLost, Server, connect

#: For all that comes before a whole mail's final dot, at all servers together; and for the reply to that dot
#: (RFC 5321 §4.5.3.2.6): a server that is left earlier may have taken the mail, and would get it again.
BEFORE_DOT_SECONDS = 240.0
FINAL_REPLY_SECONDS = 600.0
#: Longer than deliver_mail takes: those two, and the domain's mail servers, which are asked for before them.
LONGEST_MAIL_SECONDS = 900
#: How many of a domain's servers are tried in one round.
MAX_SERVERS = 4

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_LOCAL_PART = re.compile(LOCAL_PART)


class SmtpDestination(Protocol):
    @property
    def target(self) -> str: ...

    @property
    def address(self) -> str | None: ...


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
    except SmtpAddressError as error:
        return [Refused("bad-address", str(error)) for _ in envelopes]
    now = datetime.now(UTC)
    mails = [_carrying(envelope, recipient, now) for envelope in envelopes]
    return _hand_over(route.target, recipient, mails, bounce_token)


def deliver_mail(mail: bytes, address: str, *, bounce_token: str) -> Outcome | Uncertain:
    """Send a whole mail to one address: through the relay, or to the mail servers of the address's domain.

    `mail` has CRLF line ends. With letters beyond ASCII before the @, or octets above 127, it goes only to a
    server that offers SMTPUTF8 (RFC 6531); another gets nothing ("no-utf8"). The envelope's sender is an
    opaque address for `bounce_token`, never the empty one. Takes at most LONGEST_MAIL_SECONDS,
    FINAL_REPLY_SECONDS of them for the reply to the mail. Where that is lost it is Uncertain, and no other
    server gets the mail: nobody could know there that it is the same one. Raises nothing for what the network
    does.
    """
    try:
        recipient = checked_address(address, beyond_ascii=True)
    except SmtpAddressError as error:
        return Refused("bad-address", str(error))
    patience = Patience(time.monotonic() + BEFORE_DOT_SECONDS, FINAL_REPLY_SECONDS)
    try:
        (outcome,) = _hand_over(recipient.rpartition("@")[2], recipient, [mail], bounce_token, patience)
    except ReplyLost as error:
        return Uncertain("perhaps-arrived", _reason(error))
    return outcome


def _carrying(envelope: bytes, recipient: str, now: datetime) -> bytes | Refused:
    try:
        return mail_to_send(envelope, recipient=recipient, mail_domain=settings.MAIL_DOMAIN, now=now)
    except EnvelopeError as error:
        return Refused("too-large" if error.code == "too-large" else "not-understood", str(error))


def _hand_over(
    target: str,
    recipient: str,
    mails: Sequence[bytes | Refused],
    bounce_token: str,
    patience: Patience | None = None,
) -> list[Outcome]:
    """One outcome for each mail, in order; what was refused before stays so. Patience raises ReplyLost."""
    try:
        servers = servers_of(target, recipient)
    except SmtpAddressError as error:
        return [Refused("bad-address", str(error)) for _ in mails]
    except MailServersError as error:
        problem = Deferred(error.code, str(error)) if error.passing else Refused(error.code, str(error))
        return [problem for _ in mails]
    sender = f"{bounce_local_part(bounce_token, settings.SECRET_KEY)}@{settings.MAIL_DOMAIN}"
    answers: list[Outcome] = []
    for server in servers[:MAX_SERVERS]:
        answers = _send_all(server, sender, recipient, mails, patience)
        if not isinstance(answers[0], Deferred) or answers[0].code not in (
            "server-unreachable",
            "server-trouble",
        ):
            break
    return answers


def checked_address(address: str, *, beyond_ascii: bool = False) -> str:
    """The address, if it can stand in an SMTP command as it is; raises SmtpAddressError.

    With ``beyond_ascii`` also one that only SMTPUTF8 carries. Its domain is in ASCII all the same (IDNA).
    """
    local, _, domain = address.rpartition("@")
    good = _LOCAL_PART.fullmatch(local) or (beyond_ascii and is_beyond_ascii(local))
    if not good or not _HOST.fullmatch(domain) or ".." in domain:
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


def _send_all(
    server: Server,
    sender: str,
    recipient: str,
    mails: Sequence[bytes | Refused],
    patience: Patience | None,
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        connection, security = connect(server, patience)
    except smtplib.SMTPResponseException as error:
        return [_answer(error.smtp_code, error.smtp_error) for _ in mails]
    except OutboundError as error:
        return [Refused("forbidden-address", str(error)) for _ in mails]
    except (OSError, httpx.ConnectError, httpx.ConnectTimeout) as error:
        return [Deferred("server-unreachable", _reason(error)) for _ in mails]
    try:
        for mail in mails:
            if isinstance(mail, Refused):
                outcomes.append(mail)
            else:
                outcomes.append(_send(connection, sender, recipient, mail, security, server.relay))
        with suppress(OSError):
            connection.quit()
    except ReplyLost:
        raise
    except OSError as error:
        broken = Deferred("server-unreachable", _reason(error), perhaps=True)
        outcomes += [broken] * (len(mails) - len(outcomes))
    finally:
        connection.close()
    return outcomes


def _send(
    connection: Connection, sender: str, recipient: str, mail: bytes, security: str, relay: bool
) -> Outcome:
    """One mail transaction. Raises OSError when the connection is of no more use."""
    options = [f"size={len(mail)}"] if connection.has_extn("size") else []
    if not (recipient.isascii() and mail.isascii()):
        if not connection.has_extn("smtputf8"):
            return Refused("no-utf8", "the server does not offer SMTPUTF8")
        options += ["smtputf8", "body=8bitmime"]
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
