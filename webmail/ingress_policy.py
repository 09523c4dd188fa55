"""Tells Postfix at RCPT whose mailbox is full (its access policy delegation, SMTPD_POLICY_README).

Postfix keeps what the ingress says of a recipient, for weeks where that was good: by that alone it would
take mail for a full mailbox, and hold it for days. This it asks each time.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from webmail.ingress_mail import MAILBOX_FULL

log = logging.getLogger(__name__)

#: Nothing to say: the other rules hold.
NO_OBJECTION = "DUNNO"
#: What one request may have; Postfix sends some thirty short lines.
MAX_LINES = 100
MAX_LINE = 4096
#: Postfix closes connections that it has no use for after five minutes.
IDLE_SECONDS = 600.0

#: The reply to RCPT for an address.
Reply = Callable[[str], Awaitable[str]]


def action_for(reply: str) -> str:
    """What Postfix is to do where this would be the ingress' own reply to RCPT: whether somebody is known
    it asks otherwise, and it takes mail while that cannot be said."""
    return reply if reply == MAILBOX_FULL else NO_OBJECTION


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply_to: Reply) -> None:
    """Answers the requests of one connection, one after the other, until it ends."""
    with contextlib.suppress(OSError, ValueError):
        while (recipient := await asyncio.wait_for(_recipient(reader), IDLE_SECONDS)) is not None:
            try:
                action = action_for(await reply_to(recipient))
            except Exception as error:
                log.error("whether a mailbox is full could not be said: %s", type(error).__name__)
                action = NO_OBJECTION
            writer.write(f"action={action}\n\n".encode())
            await writer.drain()
    writer.close()


async def _recipient(reader: asyncio.StreamReader) -> str | None:
    """Whom the next request is about; None at the end. Raises ValueError if it is no request."""
    recipient = ""
    for _line in range(MAX_LINES):
        line = await reader.readline()
        if not line:
            return None
        if line == b"\n":
            return recipient
        name, _equals, value = line.decode("utf-8", "surrogateescape").rstrip("\n").partition("=")
        if name == "recipient":
            recipient = value
    raise ValueError("a request without an end")
