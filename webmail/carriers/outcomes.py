"""What became of one envelope that was handed to a carrier, and how the other side's replies are read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

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
    """Not now: try again, not before `retry_after` if the other side named a time. `code` as in SENTENCES."""

    code: str
    reply: str
    retry_after: timedelta | None = None


@dataclass(frozen=True)
class Refused:
    """Not as it is: trying the same again will not help. `code` as in SENTENCES."""

    code: str
    reply: str


Outcome = Accepted | Deferred | Refused

#: What a person is told for each code, and what they can do.
SENTENCES = {
    "address-unknown": "Their server does not know this person. Ask them whether they have moved.",
    "gone": "Their server says that this mailbox is gone for good. Ask them for their new one.",
    "mailbox-full": "Their mailbox is full. It can arrive once they have made room.",
    "rate-limited": "Their server takes no more for the moment. It will be tried again by itself.",
    "too-large": "Their server refused the message as too large. Send it in smaller pieces.",
    "not-accepted": "Their server refused the message. Its own words are below; its operator can say why.",
    "sender-refused": "Their server takes no mail from this server. Your operator can ask theirs why.",
    "authentication-required": "Their server wants a login that this one does not have. Tell your operator.",
    "not-understood": "Their server did not understand the message. Its operator may need to update it.",
    "server-unreachable": "Their server could not be reached. It will be tried again by itself.",
    "server-trouble": "Their server has trouble of its own. It will be tried again by itself.",
    "server-unknown": "No server can be found for their address. Ask them whether it is right.",
    "forbidden-address": "Their server's address lies in a private network, where this server does not send.",
    "bad-address": "The address that they published can't be used. Ask them to publish a new one.",
    "unsupported-route": "They can be reached only in a way that this server does not speak.",
}

#: Enhanced status codes (RFC 3463, and RFC 7505 for null MX), the most exact first: "5.1.1", then "1.1".
_ENHANCED = {
    "1.0": "address-unknown",
    "1.1": "address-unknown",
    "1.2": "server-unknown",
    "1.3": "bad-address",
    "1.6": "gone",
    "1.8": "sender-refused",
    "1.7": "sender-refused",
    "1.10": "server-unknown",
    "2.0": "not-accepted",
    "2.1": "gone",
    "2.2": "mailbox-full",
    "2.3": "too-large",
    "3.1": "mailbox-full",
    "3.4": "too-large",
    "4.1": "server-unreachable",
    "4.2": "server-unreachable",
    "4.4": "server-unknown",
    "4.5": "rate-limited",
    "4.7": "server-unreachable",
    "5.2": "not-understood",
    "5.3": "rate-limited",
    "7.0": "not-accepted",
    "7.1": "sender-refused",
    "7.8": "authentication-required",
    "7.25": "sender-refused",
    "7.26": "sender-refused",
    "7.27": "sender-refused",
    "7.28": "rate-limited",
}
_SMTP = {
    421: "server-trouble",
    450: "server-trouble",
    451: "server-trouble",
    452: "mailbox-full",
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
    550: "address-unknown",
    551: "gone",
    552: "mailbox-full",
    553: "bad-address",
    556: "server-unknown",
}
_HTTP = {
    400: "not-understood",
    401: "authentication-required",
    402: "mailbox-full",
    403: "not-accepted",
    404: "address-unknown",
    405: "bad-address",
    410: "gone",
    413: "too-large",
    415: "not-understood",
    422: "not-understood",
    507: "mailbox-full",
}
#: Statuses below 500 that are about the moment, not about the message.
_HTTP_PASSING = {408: "server-unreachable", 425: "server-trouble", 429: "rate-limited"}

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")


def sentence(code: str) -> str:
    """What a person is told for a code; a general sentence for one that is not known."""
    return SENTENCES.get(code, SENTENCES["not-accepted"])


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


def outcome_of_status_code(status: str, diagnostic: str) -> Outcome:
    """Read what a delivery report says (RFC 3464 §2.3.4): an enhanced status such as "5.1.1", and a text."""
    shown = f"{status} {printable(diagnostic)}".strip()
    if status.startswith("5"):
        return Refused(_enhanced(status) or "not-accepted", shown)
    if status.startswith("2"):
        return Accepted(shown)
    return Deferred(_passing(_enhanced(status) or "server-trouble"), shown)


def outcome_of_http(
    status: int, reason: str, *, retry_after: str | None = None, now: datetime, security: str = ""
) -> Outcome:
    """Read an HTTP answer (RFC 9110 §15): its status, its text, and the Retry-After header if it has one."""
    shown = f"{status} {printable(reason)}".strip()
    if 200 <= status <= 299:
        return Accepted(shown, security)
    if status in _HTTP_PASSING or status >= 500:
        code = _HTTP_PASSING.get(status) or _HTTP.get(status, "server-trouble")
        return Deferred(code, shown, _patience(retry_after, now))
    return Refused(_HTTP.get(status, "not-accepted"), shown)


def printable(text: str) -> str:
    """A reply on one line, without control characters, and no longer than MAX_REPLY."""
    line = " ".join(text.split())
    return "".join(character for character in line if character.isprintable())[:MAX_REPLY]


def _enhanced(text: str) -> str | None:
    match = _STATUS.search(text)
    return _ENHANCED.get(f"{int(match[2])}.{int(match[3])}") if match else None


def _passing(code: str) -> str:
    """The code for a passing fault: what is "not accepted" only now is the server's trouble."""
    return "server-trouble" if code == "not-accepted" else code


def _patience(value: str | None, now: datetime) -> timedelta | None:
    """Retry-After (RFC 9110 §10.2.3): seconds or a date; None if absent, unreadable or past."""
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}", value.strip()):
        wait = timedelta(seconds=int(value))
    else:
        try:
            then = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        wait = (then if then.tzinfo else then.replace(tzinfo=UTC)) - now
    return min(wait, MAX_RETRY_AFTER) if wait > timedelta() else None
