"""Values that several kinds of settings of an export hold, checked before any row is made of them."""

from __future__ import annotations

import re

from webmail import topics

#: People of one conversation.
MOST_PARTICIPANTS = 100
#: Addresses of one account.
MOST_ADDRESSES = 100

#: The most that a database holds in such a column.
MOST_SECONDS = 2**31 - 1

_ID = re.compile(r"[0-9a-f]{66}", re.ASCII)
_ADDRESS = re.compile(r"[!-~]{1,2048}", re.ASCII)
_DID = re.compile(r"did:[!-~]{3,2000}", re.ASCII)


def did_in(value: object) -> str:
    """A DID. Raises ValueError."""
    if not isinstance(value, str) or not _DID.fullmatch(value):
        raise ValueError("not a DID")
    return value


def conversation_id_in(value: object) -> str:
    """A conversation's id in hex. Raises ValueError."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("not the id of a conversation")
    return value


def topic_in(value: object) -> str:
    """The key of a topic, or "" for none. Raises ValueError."""
    if not isinstance(value, str) or (value and not topics.KEY.fullmatch(value)):
        raise ValueError("not the key of a topic")
    return value


def participants_in(value: object) -> tuple[str, ...]:
    """The DIDs of those in a conversation. Raises ValueError."""
    if not isinstance(value, list) or len(value) > MOST_PARTICIPANTS:
        raise ValueError("not the people of a conversation")
    return tuple(did_in(did) for did in value)


def seconds_in(value: object) -> int:
    """Seconds, as many as a column takes. Raises ValueError."""
    if type(value) is not int or not 0 <= value <= MOST_SECONDS:
        raise ValueError("no seconds")
    return value


def addresses_in(value: object) -> list[str]:
    """The addresses (URIs) at which messages are taken. Raises ValueError."""
    if not isinstance(value, list) or len(value) > MOST_ADDRESSES:
        raise ValueError("not the addresses of an account")
    if not all(isinstance(each, str) and _ADDRESS.fullmatch(each) for each in value):
        raise ValueError("not the address of an account")
    return list(value)
