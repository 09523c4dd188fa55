"""The LMTP or SMTP server in front of the ingress: aiosmtpd, held to what it must not do."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, AnyStr, TypeVar
from urllib.parse import urlsplit

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP
from django.conf import settings
from django.db import close_old_connections

from webmail import ingress, ingress_policy
from webmail.ingress_mail import (
    RECIPIENT_KNOWN,
    TROUBLE,
    MailboxAddress,
    ReportAddress,
    read_address,
    replies_to_mail,
    reply_to_recipient,
)
from webmail.own_addresses import own_domains

log = logging.getLogger(__name__)
Result = TypeVar("Result")

#: How many mails are stored at once; each holds a thread and a connection to the database and the mailbox.
THREADS = 16
TIMEOUT_SECONDS = 60.0
STOP_SECONDS = 20.0
MAX_RECIPIENTS = 50
#: Octets that one client may send without getting an answer: one mail and its dots.
MAX_UNANSWERED = ingress.MAX_MAIL + 512 * 1024

# They name the clients' addresses, and at debug level the mail itself.
logging.getLogger("mail.log").setLevel(logging.ERROR)


class IngressHandler:
    """aiosmtpd's hooks: reads arguments, and asks ingress_mail what to say."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        #: The connections that wait for the answer to a mail.
        self.waiting: set[SMTP] = set()

    async def handle_RCPT(
        self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients at once"
        read = read_address(address, domains=own_domains(), secret=settings.SECRET_KEY)
        reply = await self._reply_to_recipient(read)
        if reply == RECIPIENT_KNOWN:
            envelope.rcpt_tos.append(read)
        return reply

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        recipients: list[MailboxAddress | ReportAddress] = list(envelope.rcpt_tos)
        raw: bytes = envelope.original_content
        self.waiting.add(server)
        try:
            replies = await self._in_thread(
                lambda: replies_to_mail(recipients, raw, ingress, now=datetime.now(UTC), on_error=_log_error)
            )
        except Exception as error:
            # aiosmtpd would give one reply for all, and an LMTP client wait for the others until it gives up.
            _log_error(error)
            replies = [TROUBLE for _ in recipients]
        return "\r\n".join(replies) if isinstance(server, LMTP) else worst_of(replies)

    async def handle_policy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection on which Postfix asks whose mailbox is full."""

        async def reply_to(address: str) -> str:
            read = read_address(address, domains=own_domains(), secret=settings.SECRET_KEY)
            return await self._reply_to_recipient(read)

        await ingress_policy.answer(reader, writer, reply_to)

    async def handle_exception(self, error: Exception) -> str:
        _log_error(error)
        return TROUBLE

    async def _reply_to_recipient(self, read: MailboxAddress | ReportAddress | str) -> str:
        return await self._in_thread(lambda: reply_to_recipient(read, ingress, now=datetime.now(UTC)))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        def with_fresh_connections() -> Result:
            close_old_connections()
            try:
                return work()
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._pool, with_fresh_connections)


class _Bounded(SMTP):
    """Ends a connection that sends on and on without waiting for an answer.

    aiosmtpd keeps a line without an end in memory however long it grows.
    """

    _unanswered = 0

    def data_received(self, data: bytes) -> None:
        self._unanswered += len(data)
        if self._unanswered > MAX_UNANSWERED and self.transport is not None:
            self.transport.abort()  # type: ignore[attr-defined]
            return
        super().data_received(data)

    async def push(self, status: AnyStr) -> None:
        self._unanswered = 0
        await super().push(status)
        self.event_handler.waiting.discard(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.waiting.discard(self)
        super().connection_lost(error)


class SmtpIngress(_Bounded):
    """SMTP: one reply for all recipients."""


class LmtpIngress(_Bounded, LMTP):
    """LMTP: one reply for each recipient, also where aiosmtpd itself refuses the mail."""

    async def push(self, status: AnyStr) -> None:
        text = status if isinstance(status, str) else status.decode()
        refused_by_itself = text.startswith(("500 Line too long", "552 Error: Too much mail data"))
        if refused_by_itself and self.envelope is not None:
            text = "\r\n".join([text] * max(1, len(self.envelope.rcpt_tos)))
        await super().push(text)


async def serve(url: str, policy_url: str, stopped: asyncio.Event) -> None:
    """Listen at `lmtp://host:port` or `smtp://host:port` until `stopped`, then finish what was begun. At
    `policy://host:port`, if that is given, Postfix is told whose mailbox is full."""
    parts, policy = urlsplit(url), urlsplit(policy_url)
    if parts.scheme not in ("lmtp", "smtp") or not parts.port:
        raise ValueError("WAXWING_INGRESS_URL must be lmtp://host:port or smtp://host:port")
    if policy_url and (policy.scheme != "policy" or not policy.port):
        raise ValueError("WAXWING_INGRESS_POLICY_URL must be policy://host:port")
    kind = LmtpIngress if parts.scheme == "lmtp" else SmtpIngress
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="ingress") as pool:
        handler = IngressHandler(pool)

        def session() -> SMTP:
            return kind(
                handler,
                data_size_limit=ingress.MAX_MAIL,
                enable_SMTPUTF8=True,
                hostname=settings.MAIL_DOMAIN or "localhost",
                ident="Waxwing",
                timeout=TIMEOUT_SECONDS,
                loop=loop,
            )

        servers = [await loop.create_server(session, parts.hostname, parts.port)]
        log.info("listening at %s", url)
        if policy_url:
            servers.append(
                await asyncio.start_server(
                    handler.handle_policy, policy.hostname, policy.port, limit=ingress_policy.MAX_LINE
                )
            )
        await stopped.wait()
        for server in servers:
            server.close()
        # Whoever waits gets their answer, so that they need not send what is already stored.
        deadline = loop.time() + STOP_SECONDS
        while handler.waiting and loop.time() < deadline:
            await asyncio.sleep(0.02)


def worst_of(replies: list[str]) -> str:
    """One reply for all recipients, as SMTP has it: a passing fault first, so that the sender keeps the mail
    (those who have it already know it by its id), then a lasting one."""
    return min(replies, key=lambda reply: {"4": 0, "5": 1}.get(reply[0], 2), default=TROUBLE)


def _log_error(error: Exception) -> None:
    # Not its traceback, in which a mail could be seen.
    log.error("a mail was not stored: %s", type(error).__name__)
