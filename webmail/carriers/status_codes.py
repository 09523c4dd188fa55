"""Enhanced mail system status codes (RFC 3463): what each of the registered ones means for the sender.

The registry is IANA's "SMTP Enhanced Status Codes" (RFC 5248). The class (2, 4, 5) says whether it is for
good; subject and detail say what it is about.
"""

import re

#: Every registered subject and detail, with the code that a person's sentence hangs on (see sentences.py).
MEANINGS = {
    # Other or undefined
    "0.0": "not-accepted",
    # Addressing
    "1.0": "address-unknown",
    "1.1": "address-unknown",
    "1.2": "server-unknown",
    "1.3": "bad-address",
    "1.4": "bad-address",
    "1.5": "not-accepted",
    "1.6": "gone",
    "1.7": "sender-refused",
    "1.8": "sender-refused",
    "1.9": "not-understood",
    "1.10": "server-unknown",
    # Mailbox
    "2.0": "not-accepted",
    "2.1": "gone",
    "2.2": "mailbox-full",
    "2.3": "too-large",
    "2.4": "list-refused",
    # Mail system
    "3.0": "server-trouble",
    "3.1": "server-full",
    "3.2": "server-closed",
    "3.3": "not-understood",
    "3.4": "too-large",
    "3.5": "server-trouble",
    "3.6": "not-accepted",
    # Network and routing
    "4.0": "server-unreachable",
    "4.1": "server-unreachable",
    "4.2": "server-unreachable",
    "4.3": "server-trouble",
    "4.4": "server-unknown",
    "4.5": "rate-limited",
    "4.6": "loop",
    "4.7": "server-unreachable",
    # Mail delivery protocol
    "5.0": "not-understood",
    "5.1": "not-understood",
    "5.2": "not-understood",
    "5.3": "rate-limited",
    "5.4": "not-understood",
    "5.5": "not-understood",
    "5.6": "authentication-required",
    # Message content
    "6.0": "not-accepted",
    "6.1": "not-understood",
    "6.2": "not-understood",
    "6.3": "not-understood",
    "6.4": "altered",
    "6.5": "not-understood",
    "6.6": "not-understood",
    "6.7": "no-utf8",
    "6.8": "not-understood",
    "6.9": "no-utf8",
    "6.10": "not-understood",
    # Security and policy
    "7.0": "not-accepted",
    "7.1": "sender-refused",
    "7.2": "list-refused",
    "7.3": "not-protected",
    "7.4": "not-protected",
    "7.5": "not-protected",
    "7.6": "not-protected",
    "7.7": "altered",
    "7.8": "authentication-required",
    "7.9": "authentication-required",
    "7.10": "not-protected",
    "7.11": "not-protected",
    "7.12": "authentication-required",
    "7.13": "authentication-required",
    "7.14": "sender-refused",
    "7.15": "rate-limited",
    "7.16": "too-large",
    "7.17": "owner-changed",
    "7.18": "owner-changed",
    "7.19": "server-trouble",
    "7.20": "sender-refused",
    "7.21": "sender-refused",
    "7.22": "sender-refused",
    "7.23": "sender-refused",
    "7.24": "sender-refused",
    "7.25": "sender-refused",
    "7.26": "sender-refused",
    "7.27": "sender-refused",
    "7.28": "rate-limited",
    "7.29": "sender-refused",
    "7.30": "not-protected",
}
#: What a code says for good, and for the moment, when nothing finer is known.
BY_CLASS = {"4": "server-trouble", "5": "not-accepted"}

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_FIELD = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})(?![\w.])")


def status_in(text: str) -> str | None:
    """The first enhanced status in a reply's text, such as "5.1.1"."""
    return _normal(_STATUS.search(text))


def status_of_field(value: str) -> str | None:
    """The status at the beginning of a Status field, which a comment may follow (RFC 3464 §2.3.4)."""
    return _normal(_FIELD.match(value))


def exact_meaning(status: str | None) -> str | None:
    """The code of a failure's status that says more than what it is about: registered, and no detail 0."""
    if status is None or status.startswith("2") or status.endswith(".0"):
        return None
    return MEANINGS.get(status[2:])


def general_meaning(status: str | None) -> str | None:
    """The code of what a failure's status is about; None where it names no subject that is registered."""
    if status is None or status.startswith("2"):
        return None
    subject = status.split(".")[1]
    return None if subject == "0" else MEANINGS.get(f"{subject}.0")


def _normal(match: re.Match[str] | None) -> str | None:
    return f"{match[1]}.{int(match[2])}.{int(match[3])}" if match else None
