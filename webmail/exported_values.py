"""Values that several kinds of settings of an export hold, checked before any row is made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from crypto_agent.atsms.ids import is_did
from webmail import topics

Given = TypeVar("Given")
Read = TypeVar("Read")

#: People of one conversation: more than the largest envelope (64 KiB) has room to name. Whom a conversation
#: names is not for its owner to say, who is to be able to move with it all the same.
MOST_PARTICIPANTS = 8192
#: The longest DID that the columns have room for.
LONGEST_DID = 2048
#: Addresses of one account.
MOST_ADDRESSES = 100

#: The most that a database holds in such a column.
MOST_SECONDS = 2**31 - 1

_ID = re.compile(r"[0-9a-f]{66}", re.ASCII)
_ADDRESS = re.compile(r"[!-~]{1,2048}", re.ASCII)

#: What comes of values that no export has: of another form, or too large for where they are kept.
NO_SUCH_VALUE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


def fitting(given: Iterable[Given], read: Callable[[Given], Read]) -> tuple[list[Read], int]:
    """What `read` makes of each, and how many it has no use for, which are left out: none of them is to keep
    the others from moving."""
    found: list[Read] = []
    left_out = 0
    for each in given:
        try:
            found.append(read(each))
        except NO_SUCH_VALUE:
            left_out += 1
    return found, left_out


def did_in(value: object) -> str:
    """A DID, as a message may name one and a column has room for. Raises ValueError."""
    if not isinstance(value, str) or len(value) > LONGEST_DID or not is_did(value):
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
