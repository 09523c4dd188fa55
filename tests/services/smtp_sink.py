"""A mail server that keeps what it is given, for the mail that the PDS sends to people."""

from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.controller import Controller

from demo.ports import free_port


@dataclass(frozen=True)
class ReceivedMail:
    """A mail as it came in, with the recipients of its SMTP envelope."""

    recipients: list[str]
    message: EmailMessage


@dataclass
class SmtpSink:
    """Listens on the loopback address while it is entered; `mails` grows."""

    port: int = field(default_factory=free_port)
    mails: list[ReceivedMail] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.original_content, policy=policy.default)
        self.mails.append(ReceivedMail(list(envelope.rcpt_tos), message))
        return "250 kept"

    def __enter__(self) -> Self:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()
