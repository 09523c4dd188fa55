"""What a call is to the methods that answer it: its checked fields, and when its answer may write."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from crypto_agent.custody import Random
from crypto_agent.errors import InvalidRequest
from crypto_agent.framed import FramedAnswer, FramedBody

Fields = Mapping[str, Any]
Json = dict[str, Any]

_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Call:
    """One checked call: its fields by name with bytes as ``bytes``, its time and its randomness.

    ``body`` holds the bytes that come after the fields, where the method carries a file.
    """

    fields: Fields
    now: datetime
    random: Random
    body: FramedBody | None = None


@dataclass(frozen=True)
class Answering:
    """How a method is answered: ``writes`` runs it and its audit entry in one transaction.

    ``counted`` names the field whose length the audit log gives as the number of things asked for,
    ``outcome`` is what it says of a call that succeeded.
    """

    answer: Callable[[Call], Json | FramedAnswer]
    writes: bool = False
    counted: str = ""
    outcome: str = "ok"

    def prepared(self, call: Call) -> Callable[[], Json | FramedAnswer]:
        """What answers the call."""
        return partial(self.answer, call)

    def count(self, fields: Fields) -> int:
        return len(fields[self.counted]) if self.counted else 1


@dataclass(frozen=True)
class InTwoSteps:
    """How a method is answered that first does something outside of the transaction, such as a derivation.

    ``prepare`` does that, and returns what writes and answers.
    """

    prepare: Callable[[Call], Callable[[], Json]]
    writes: bool = True
    counted: str = ""
    outcome: str = "ok"

    def prepared(self, call: Call) -> Callable[[], Json]:
        return self.prepare(call)

    def count(self, _fields: Fields) -> int:
        return 1


def number_cursor(fields: Fields) -> int | None:
    """The cursor of a call whose method has numbers for such, if there is one. Raises InvalidRequest."""
    cursor = fields.get("cursor")
    if cursor is None:
        return None
    if _NUMBER.fullmatch(cursor) is None:
        raise InvalidRequest("cursor: not one of this method")
    return int(cursor)
