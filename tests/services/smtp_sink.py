"""A mail server that keeps what it is given: the mail that the PDS sends to people, and ordinary mail."""

import asyncio
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

from demo.ports import free_port


@dataclass(frozen=True)
class ReceivedMail:
    """A mail as it came in, with the sender and the recipients of its SMTP envelope."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    raw: bytes


@dataclass
class SmtpSink:
    """Listens on the loopback address while it is entered; `mails` grows as long as it answers so."""

    port: int = field(default_factory=free_port)
    mails: list[ReceivedMail] = field(default_factory=list)
    #: To every mail.
    answer: str = "250 kept"
    #: Seconds until that answer, and whether the connection ends in its place.
    answers_after_s: float = 0.0
    hangs_up: bool = False
    #: Whether it offers SMTPUTF8.
    takes_utf8: bool = True
    #: Domains whose mail is to be tried again later: nobody would bring it on from here.
    closed_to: frozenset[str] = frozenset()
    #: LMTP, in the place of SMTP: what a mail server stores its mail through.
    lmtp: bool = False

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if address.rpartition("@")[2] in self.closed_to:
            return "451 4.4.1 not from here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.original_content, policy=policy.default)
        if self.answer.startswith("250"):
            raw = envelope.original_content
            self.mails.append(ReceivedMail(envelope.mail_from, list(envelope.rcpt_tos), message, raw))
        await asyncio.sleep(self.answers_after_s)
        if self.hangs_up:
            server.transport.abort()
        return self.answer

    def __enter__(self) -> Self:
        self._controller = _Listener(
            self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=self.takes_utf8
        )
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class _Listener(Controller):
    def factory(self) -> SMTP:
        protocol = LMTP if self.handler.lmtp else SMTP
        return protocol(self.handler, **self.SMTP_kwargs)
