"""Ordinary mail in an export: each as it lies in the mailbox, followed by the answers to it, in one mbox.

What others wrote is not written anew, so lines that begin like a mail are quoted as mbox does (mboxrd: one
``>`` more before ``From ``), which readers take back.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from accounts.models import Account
from webmail.blobs.spool import Spool, SpoolFull
from webmail.conversations import NotFound
from webmail.mailbox import MailboxError
from webmail.models import Arrival
from webmail.ordinary import answers, reading

#: Of no address: what a mail says of its sender, nothing here vouches for.
SENDER = "MAILER-DAEMON"
#: A line longer than this is given out before its end is there.
LONGEST_LINE = 64 * 1024

_LIKE_A_MAIL = re.compile(rb"^(>*From )", re.MULTILINE)


@dataclass
class Left:
    """What did not come along: mails that are gone from the mailbox or did not fit, and whether the mailbox
    could not be reached, so that all after that are missing."""

    gone: int = 0
    busy: int = 0
    away: bool = False

    def __bool__(self) -> bool:
        return bool(self.gone or self.busy or self.away)


def mails(account: Account, left: Left) -> Iterator[bytes]:
    """The octets of the mbox, the oldest mail first; what is missing is noted in ``left``.

    A mail is given out when all of it is there, and waits in a Spool till then.
    """
    for key in reading.keys(account):
        moment = Arrival.objects.filter(pk=key).values_list("arrived_at", flat=True).first()
        if moment is None:
            continue
        try:
            with Spool() as kept:
                for octets in reading.whole(account, key):
                    kept.write(octets)
                yield from _one(moment, kept.chunks())
        except NotFound:
            left.gone += 1
        except SpoolFull:
            left.busy += 1
        except MailboxError:
            left.away = True
            return
        try:
            for answer in answers.written(account, key):
                yield from _one(moment, [answer])
        except MailboxError:
            left.away = True
            return


def _one(moment: datetime, octets: Iterable[bytes]) -> Iterator[bytes]:
    yield f"From {SENDER} {time.asctime(moment.astimezone(UTC).timetuple())}\n".encode("ascii")
    yield from quoted(octets)
    yield b"\n"


def quoted(octets: Iterable[bytes]) -> Iterator[bytes]:
    """A mail with LF line ends, quoted, and with a line end at its end; in pieces of about the same size."""
    rest, within = b"", False
    for piece in octets:
        rest += piece
        end = rest.rfind(b"\n") + 1
        if not end and len(rest) > LONGEST_LINE:
            end = len(rest) - rest.endswith(b"\r")
        if end:
            yield _lines(rest[:end], within)
            within = not rest[:end].endswith(b"\n")
            rest = rest[end:]
    if rest:
        yield _lines(rest, within)
    if rest or within:
        yield b"\n"


def _lines(octets: bytes, within: bool) -> bytes:
    """``within``: they begin in the middle of a line."""
    octets = octets.replace(b"\r\n", b"\n")
    head, line_end, tail = octets.partition(b"\n") if within else (b"", b"", octets)
    return head + line_end + _LIKE_A_MAIL.sub(rb">\1", tail)
