"""What became of one envelope that was handed to a carrier, and how the other side's replies are read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from .status_codes import BY_CLASS, exact_meaning, general_meaning, status_in

#: Replies are for people to read; more than this of one is not kept.
MAX_REPLY = 500
#: A server may ask for patience, but not for more than a day.
MAX_RETRY_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Accepted:
    """The other side has it. `reply` is its answer, `security` how the connection was protected.

    `relayed` says that this installation's own mail server took it and will carry it on: it is not
    yet at the recipient's, and may still come back.
    """

    reply: str
    security: str = ""
    relayed: bool = False


@dataclass(frozen=True)
class Deferred:
    """Not now: try again, not before `retry_after` if the other side named a time. `code` as below.

    `perhaps` says that the other side may have it all the same: only its answer was lost.
    """

    code: str
    reply: str
    retry_after: timedelta | None = None
    perhaps: bool = False


@dataclass(frozen=True)
class Refused:
    """Not as it is: trying the same again will not help. `code` as in sentences.py."""

    code: str
    reply: str


@dataclass(frozen=True)
class Uncertain:
    """The other side got all of a mail and its answer was lost: it may have it. `code` as in sentences.py."""

    code: str
    reply: str


#: Of an envelope, which is known by its id and can be sent again, no outcome is uncertain.
Outcome = Accepted | Deferred | Refused

#: What a reply's three digits say, where no enhanced status says more (RFC 5321 §4.2.3, RFC 7504, RFC 4954).
_SMTP = {
    421: "server-trouble",
    432: "authentication-required",
    450: "server-trouble",
    451: "server-trouble",
    452: "mailbox-full",
    454: "server-trouble",
    455: "not-understood",
    500: "not-understood",
    501: "not-understood",
    502: "not-understood",
    503: "not-understood",
    504: "not-understood",
    521: "server-unknown",
    523: "too-large",
    530: "authentication-required",
    534: "authentication-required",
    535: "authentication-required",
    538: "not-protected",
    550: "address-unknown",
    551: "gone",
    552: "mailbox-full",
    553: "bad-address",
    554: "not-accepted",
    555: "not-understood",
    556: "server-unknown",
}
#: What an answer's status says (RFC 9110 §15).
_HTTP = {
    400: "not-understood",
    401: "authentication-required",
    402: "mailbox-full",
    403: "not-accepted",
    404: "address-unknown",
    405: "bad-address",
    406: "not-understood",
    409: "not-accepted",
    410: "gone",
    411: "not-understood",
    413: "too-large",
    414: "bad-address",
    415: "not-understood",
    421: "bad-address",
    422: "not-understood",
    426: "not-protected",
    431: "not-understood",
    451: "not-accepted",
    504: "server-unreachable",
    507: "mailbox-full",
    511: "authentication-required",
}
#: Statuses below 500 that are about the moment, not about the message.
_HTTP_PASSING = {408: "server-unreachable", 425: "server-trouble", 429: "rate-limited"}

#: What a server says of itself before it took anything; of others a proxy may speak that lost the answer.
_HTTP_TOOK_NOTHING = {*_HTTP_PASSING, 501, 503, 505, 507}

#: A diagnostic of SMTP begins with the reply's three digits (RFC 3464 §2.3.6).
_DIGITS = re.compile(r"\s*([45]\d\d)(?!\d)")


def outcome_of_smtp(status: int, reply: str, *, security: str = "", relayed: bool = False) -> Outcome:
    """Read an SMTP reply (RFC 5321 §4.2): its three digits and its text, with any enhanced status code.

    2xx is accepted, 4xx deferred, 5xx refused, whatever the text says. Anything else is a server that
    does not speak SMTP, and deferred.
    """
    text = printable(reply)
    shown = f"{status} {text}".strip()
    if 200 <= status <= 299:
        return Accepted(shown, security, relayed)
    if 500 <= status <= 599:
        return Refused(_enhanced(text) or _SMTP.get(status, "not-accepted"), shown)
    if 400 <= status <= 499:
        return Deferred(_passing(_enhanced(text) or _SMTP.get(status, "server-trouble")), shown)
    return Deferred("server-trouble", shown)


def outcome_of_report(*, failed: bool, status: str | None, diagnostic: str) -> Refused | Deferred:
    """Read what a delivery report says of a recipient (RFC 3464 §2.3).

    `failed` says whether the server gave up: that decides, since one that gives up after days of a passing
    fault says "4.4.7", and servers contradict themselves. `status` is an enhanced status or None,
    `diagnostic` the other server's own words. The most exact of them names the cause.
    """
    shown = printable(f"{status or ''} {diagnostic}")
    inner = status_in(diagnostic)
    digits = _DIGITS.match(diagnostic)
    code = (
        exact_meaning(status)
        or exact_meaning(inner)
        or general_meaning(status)
        or general_meaning(inner)
        or (_SMTP.get(int(digits[1])) if digits else None)
    )
    if failed:
        return Refused(code or BY_CLASS.get((status or "5")[0], "not-accepted"), shown)
    return Deferred(_passing(code or "server-trouble"), shown)


def outcome_of_http(
    status: int, reason: str, *, retry_after: str | None = None, now: datetime, security: str = ""
) -> Outcome:
    """Read an HTTP answer (RFC 9110 §15): its status, its text, and the Retry-After header if it has one."""
    shown = f"{status} {printable(reason)}".strip()
    if 200 <= status <= 299:
        return Accepted(shown, security)
    if status in _HTTP_PASSING or status >= 500:
        code = _HTTP_PASSING.get(status) or _HTTP.get(status, "server-trouble")
        return Deferred(code, shown, _patience(retry_after, now), perhaps=status not in _HTTP_TOOK_NOTHING)
    return Refused(_HTTP.get(status, "not-accepted"), shown)


def printable(text: str) -> str:
    """A reply on one line, without control characters, and no longer than MAX_REPLY."""
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:MAX_REPLY]


def _enhanced(text: str) -> str | None:
    status = status_in(text)
    return exact_meaning(status) or general_meaning(status)


def _passing(code: str) -> str:
    """The code for a passing fault: what is refused only now is the server's trouble, or its wish for
    patience (servers that take mail from strangers only at the second try say 4.7.1)."""
    return {"not-accepted": "server-trouble", "sender-refused": "asked-to-wait"}.get(code, code)


def _patience(value: str | None, now: datetime) -> timedelta | None:
    """Retry-After (RFC 9110 §10.2.3): seconds or a date; None if absent, unreadable or past."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        wait = timedelta(seconds=int(value.strip()))
    else:
        try:
            then = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        wait = (then if then.tzinfo else then.replace(tzinfo=UTC)) - now
    return min(wait, MAX_RETRY_AFTER) if wait > timedelta() else None
